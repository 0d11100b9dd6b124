"""Rows and cases under TensorFlow and under Gemel's face, as plain data to compare."""

from __future__ import annotations

import contextlib
import os
import warnings

import numpy as np
import tensorflow_rows
from torch_compare import difference as difference
from torch_compare import recorded as recorded

TOLERANCE = 3e-5


def original():
    """The real TensorFlow, quiet and without a GPU."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import pytest

    return pytest.importorskip("tensorflow")


def names(tf) -> dict:
    """What the rows' expressions are evaluated in."""
    scope = {"tf": tf, "np": np}
    exec(tensorflow_rows.NAMES, scope)  # noqa: S102
    return scope


def plain(value):
    """Tensors as [element type, nested lists], structures of them as lists."""
    if isinstance(value, np.ndarray | np.generic):
        listed = np.asarray(value).tolist()
        return [str(np.asarray(value).dtype), _finite(listed)]
    if hasattr(value, "numpy"):
        return plain(value.numpy())
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def _finite(value):
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return repr(value) if isinstance(value, float) and not np.isfinite(value) else value


def value_of(tf, row: str):
    return plain(eval(row, names(tf)))  # noqa: S307


def graph_value_of(tf, row: str):
    """The row as part of a graph, computed by a session."""
    with fresh_graph(tf) as (_, session):
        made = eval(row, names(tf))  # noqa: S307
        return plain(_fetched(session, made))


def _fetched(session, made):
    if isinstance(made, list | tuple):
        return [_fetched(session, m) for m in made]
    return session.run(made) if hasattr(made, "graph") else made


def gradient_of(tf, row: str):
    """The function's value, and gradients of its unevenly weighted sum for a, b, p, v, m."""
    scope = names(tf)
    sources = [scope[n] for n in ("a", "b", "p", "v", "m")]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        y = eval(row, scope)  # noqa: S307
        weight = tf.cast(tf.reshape(tf.range(tf.size(y)) % 5 + 1, tf.shape(y)), tf.float32)
        total = tf.reduce_sum(y * weight)
    found = [
        g if g is None else tf.convert_to_tensor(g)
        for g in tape.gradient(total, sources)
    ]
    return plain([y, *found])


def raised(function) -> str:
    """The class of what is raised, 'nothing' otherwise."""
    try:
        result = function()
        for x in result if isinstance(result, list | tuple) else [result]:
            if hasattr(x, "numpy"):
                x.numpy()
    except Exception as error:
        return type(error).__name__
    return "nothing"


def error_of(tf, row: str) -> str:
    scope = names(tf)
    return raised(lambda: eval(row, scope))  # noqa: S307


def graph_error_of(tf, row: str) -> str:
    """The class that is raised while a graph is built."""
    with tf.Graph().as_default():
        try:
            eval(row, {"tf": tf, "np": np})  # noqa: S307
        except Exception as error:
            return type(error).__name__
    return "nothing"


@contextlib.contextmanager
def fresh_graph(tf):
    """A graph and a session of their own, in TensorFlow 1's way."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        yield v1, session


def case_of(tf, case):
    """A case of `tensorflow_cases`: graph cases get (v1, session), the others tf."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _case_of(tf, case)


def _case_of(tf, case):
    if case.__code__.co_argcount == 2:
        with fresh_graph(tf) as (v1, session):
            return plain(case(v1, session))
    return plain(case(tf))
