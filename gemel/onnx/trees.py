"""Classical models of the domain ai.onnx.ml."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gemel.graph.node import Node
from gemel.ops import elementwise as e

from .operators import operator

_ML = "ai.onnx.ml"
_MEMBER = 6
_COMPARED: tuple[Callable, ...] = (
    np.less_equal, np.less, np.greater_equal, np.greater, np.equal, np.not_equal,
)  # fmt: skip
_JOINED = ("AVERAGE", "SUM", "MIN", "MAX")


@operator("Binarizer", domain=_ML)
def binarize(node, x: Node) -> Node:
    return e.cast(e.gt(x, node.get("threshold", 0.0)), x.dtype)


class _Trees:
    """The attributes of a TreeEnsemble as columns by node."""

    def __init__(self, node):
        self.feature = node.get("nodes_featureids")
        self.split = node.get("nodes_splits")
        self.mode = [int(m) for m in node.get("nodes_modes")]
        self.ways = [
            (node.get(f"nodes_{side}nodeids"), node.get(f"nodes_{side}leafs"))
            for side in ("false", "true")
        ]
        missing = node.get("nodes_missing_value_tracks_true")
        self.missing = missing or [0] * len(self.feature)
        self.members = self._members(node)

    def _members(self, node) -> dict[int, set[float]]:
        """Of each node that asks for membership the values that are members."""
        found: dict[int, set[float]] = {}
        values = iter([] if (v := node.get("membership_values")) is None else v.tolist())
        for place in (i for i, m in enumerate(self.mode) if m == _MEMBER):
            group: set[float] = set()
            for value in values:
                if np.isnan(value):
                    break
                group.add(value)
            found[place] = group
        return found

    def leaf(self, place: int, row: np.ndarray) -> int:
        """The leaf that a row of features ends in."""
        while True:
            value = row[self.feature[place]]
            if np.isnan(value) and self.missing[place]:
                yes = True
            elif self.mode[place] == _MEMBER:
                yes = float(value) in self.members[place]
            else:
                yes = bool(_COMPARED[self.mode[place]](value, self.split[place]))
            following, leaves = self.ways[yes]
            if leaves[place]:
                return following[place]
            place = following[place]


@operator("TreeEnsemble", domain=_ML, kind="host")
def tree_ensemble(node, x: np.ndarray) -> np.ndarray:
    """[rows, targets]: the joined weights of the leaves that each row ends in."""
    if int(node.get("post_transform", 0)):
        raise NotImplementedError("ONNX TreeEnsemble: post_transform is not supported")
    trees, count = _Trees(node), node.get("n_targets")
    weights, targets = node.get("leaf_weights"), node.get("leaf_targetids")
    how = _JOINED[int(node.get("aggregate_function", 1))]
    out = np.zeros((len(x), count), x.dtype)
    for row, made in zip(x, out, strict=True):
        leaves = [trees.leaf(root, row) for root in node.get("tree_roots")]
        for target in range(count):
            found = [weights[k] for k in leaves if targets[k] == target]
            made[target] = _join(found, how, len(leaves))
    return out


def _join(found: list, how: str, trees: int) -> float:
    if how in ("SUM", "AVERAGE"):
        return sum(found) / (trees if how == "AVERAGE" else 1)
    return (min if how == "MIN" else max)(found) if found else 0.0
