"""Tells a TensorFlow 1 script from any other, by reading it.

Role: TensorFlow 2 has no `tf.Session` or `tf.placeholder`; a script that takes such names from
`tensorflow` itself was written for graph mode. Input: the script's syntax tree. Output: one bool.
Invariant: names taken through `tensorflow.compat.v1` do not count: that is TensorFlow 2, where
the script itself says which mode it wants.
"""

import ast
from collections.abc import Iterator

ROOT = "tensorflow"
TRAIN = (
    "AdadeltaOptimizer AdagradOptimizer AdamOptimizer FtrlOptimizer GradientDescentOptimizer "
    "MomentumOptimizer RMSPropOptimizer Saver MonitoredTrainingSession exponential_decay "
    "get_or_create_global_step import_meta_graph"
)
TOP = (
    "Session InteractiveSession ConfigProto placeholder placeholder_with_default "
    "global_variables_initializer local_variables_initializer initialize_all_variables "
    "variables_initializer get_variable variable_scope trainable_variables global_variables "
    "get_default_session get_default_graph reset_default_graph set_random_seed assign "
    "random_normal random_uniform truncated_normal get_collection add_to_collection"
)
LOSSES = "get_total_loss mean_squared_error softmax_cross_entropy sparse_softmax_cross_entropy"
GRAPH_NAMES = frozenset(
    [
        *TOP.split(),
        *(f"train.{name}" for name in TRAIN.split()),
        *(f"losses.{name}" for name in LOSSES.split()),
        "layers.dense",
        "layers.conv2d",
        "layers.dropout",
        "layers.flatten",
    ]
)


def wants_graph_mode(tree: ast.AST) -> bool:
    """Does the script use, from `tensorflow` itself, a name that only TensorFlow 1 had?"""
    bound = dict(_imported(tree))
    for name in _reassigned(tree):
        bound.pop(name, None)
    if not GRAPH_NAMES.isdisjoint(bound.values()):
        return True
    return any(
        _dotted(node, bound) in GRAPH_NAMES
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    )


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(name in the script, dotted name inside tensorflow); the package itself is ''."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                if item.name == ROOT:
                    yield item.asname or ROOT, ""
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            path = (node.module or "").split(".")
            if path[0] == ROOT:
                for item in node.names:
                    yield item.asname or item.name, ".".join([*path[1:], item.name])


def _reassigned(tree: ast.AST) -> Iterator[str]:
    """Names the script stores to, as `tf = tf.compat.v1` does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _dotted(node: ast.expr, bound: dict[str, str]) -> str | None:
    """The name inside tensorflow that an attribute chain means; None for any other chain."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in bound:
        return None
    first = bound[node.id]
    return ".".join([*([first] if first else []), *reversed(parts)])
