"""Shapes and small values of graph tensors before anything runs.

Role: gives each operation of a graph its results' facts. Sizes that are not known take two trial
values; the call is evaluated on both, and a size of the result is known where both agree. In: a
call, its inputs' facts, its attributes. Out: a `Fact` per result.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from gemel.graph.form import Form, form
from gemel.ops.record import Call, leaf
from gemel.passes.compile import compile_graph
from gemel.runtime.buffer import Buffer

from .dtypes import BY_ENGINE
from .errors import MISMATCHES
from .shape import TensorShape
from .symbolic import Fact, SymbolicTensor

# Divisible by every small size, so that reshapes of an unknown size come out whole.
TRIALS = (720720, 2 * 720720)
SMALL = 64  # values that are followed have at most so many cells
RANKS = 5  # an unknown rank is tried as 0, 1, ... 4
SEARCHED = 500  # combinations of sizes tried at most


class Unknown(Exception):
    """An attribute is a tensor whose value is not known yet. `tensor` is that tensor."""

    def __init__(self, tensor):
        super().__init__(tensor.name)
        self.tensor = tensor


def fact_of(dtype, shape) -> Fact:
    """The fact of a source with this static shape."""
    shape = TensorShape(shape)
    if shape.rank is None:
        return Fact(dtype, shape)
    probes = tuple(tuple(p if d is None else d for d in shape) for p in TRIALS)
    return Fact(dtype, shape, probes)


def constant_fact(dtype, value: np.ndarray) -> Fact:
    known = (value, value) if value.size <= SMALL else None
    return Fact(dtype, TensorShape(value.shape), (value.shape, value.shape), known)


def merged(dtype, shapes: list[tuple], known=None) -> Fact:
    """The fact of a result that has these shapes under the trials."""
    if len({len(s) for s in shapes}) > 1:
        return Fact(dtype, TensorShape(None))
    static = [d[0] if len(set(d)) == 1 else None for d in zip(*shapes, strict=True)]
    probes = (shapes[0], shapes[1]) if len(shapes) == 2 else fact_of(dtype, static).probes
    return Fact(dtype, TensorShape(static), probes, known)


def refined(fact: Fact, shape: TensorShape) -> Fact:
    """The fact with what `set_shape` says."""
    if fact.probes is None or None in fact.shape.merge_with(shape):
        return fact_of(fact.dtype, fact.shape.merge_with(shape))
    return Fact(fact.dtype, fact.shape.merge_with(shape), fact.probes, fact.known)


# ---------- attributes that are tensors ----------
def symbols(attrs) -> list[SymbolicTensor]:
    """The graph tensors among the attributes."""
    if isinstance(attrs, SymbolicTensor):
        return [attrs]
    if isinstance(attrs, tuple):
        return [t for a in attrs for t in symbols(a)]
    return []


def resolved(attrs, value_of):
    """The attributes with each tensor replaced by its value: an int, or nested tuples."""
    if isinstance(attrs, SymbolicTensor):
        return frozen(value_of(attrs))
    if isinstance(attrs, tuple):
        return tuple(resolved(a, value_of) for a in attrs)
    return attrs


def frozen(value: np.ndarray):
    """A NumPy value as Python numbers in nested tuples."""
    if value.ndim == 0:
        return value.item()
    return tuple(frozen(v) for v in value)


def _trial_value(tensor: SymbolicTensor, k: int) -> np.ndarray:
    """The tensor's value under trial k; an unknown size where a size may be meant."""
    if tensor.fact.known is not None:
        return tensor.fact.known[k]
    shape = tensor.shape
    if shape.is_fully_defined() and shape.rank < 2 and tensor.dtype.is_integer:
        return np.full(tuple(shape), TRIALS[k], np.int64)
    raise Unknown(tensor)


# ---------- a call ----------
def infer_call(call, attrs: tuple, inputs: tuple, count: int | None = None) -> list[Fact]:
    """Facts of the call's results. Raises the expansion's error where the inputs cannot fit."""
    facts = [t.fact for t in inputs]
    try:
        given = [resolved(attrs, lambda t, k=k: _trial_value(t, k)) for k in (0, 1)]
    except Unknown:
        return _opaque(call, attrs, facts)
    if any(f.probes is None for f in facts):
        return _any_rank(call, given, facts)
    try:
        made = _evaluated(call, given, facts)
    except MISMATCHES:
        if symbols(attrs):
            return _opaque(call, attrs, facts)
        raise
    known = _known_values(call, given, facts, made[0])
    dtypes = [BY_ENGINE[f.dtype] for f in made[0]]
    pairs = zip(dtypes, made[0], made[1], known, strict=True)
    return [merged(d, [a.shape, b.shape], k) for d, a, b, k in pairs]


def _evaluated(call, given, facts) -> list[tuple[Form, ...]]:
    shapes = [[f.probes[k] for f in facts] for k in (0, 1)]
    try:
        return [_forms(call, given[k], facts, shapes[k]) for k in (0, 1)]
    except MISMATCHES:
        found = _fitting(call, given, facts, shapes)
        if found is None:
            raise
        return found


def _forms(call, attrs, facts, shapes) -> tuple[Form, ...]:
    forms = [form(s, f.dtype.engine) for s, f in zip(shapes, facts, strict=True)]
    return call.forms(attrs, *forms)


def _fitting(call, given, facts, shapes):
    """Results where unknown sizes take sizes of their partners: (?, 3) with (5, 3) is (5, 3)."""
    unknown = [
        (i, d)
        for i, f in enumerate(facts)
        for d, n in enumerate(f.shape)
        if n is None and shapes[0][i][d] != shapes[1][i][d]
    ]
    partners = sorted({n for f in facts for n in f.shape if n is not None} | {1})
    choices = list(product([None, *partners], repeat=len(unknown)))[:SEARCHED]
    for choice in sorted(choices, key=lambda c: len(c) - c.count(None)):
        trial = [[list(s) for s in row] for row in shapes]
        for (i, d), n in zip(unknown, choice, strict=True):
            if n is not None:
                trial[0][i][d] = trial[1][i][d] = n
        try:
            rows = [[tuple(s) for s in row] for row in trial]
            return [_forms(call, given[k], facts, rows[k]) for k in (0, 1)]
        except MISMATCHES:
            continue
    return None


def _any_rank(call, given, facts) -> list[Fact]:
    """Results where some input's rank is unknown: what all ranks that fit agree on."""
    found = []
    error = None
    for rank in range(RANKS):
        tried = [fact_of(f.dtype, [None] * rank) if f.probes is None else f for f in facts]
        try:
            found.append(_evaluated(call, given, tried))
        except MISMATCHES as e:
            error = e
    if not found:
        raise error
    out = []
    for i, first in enumerate(found[0][0]):
        shapes = [made[i].shape for pair in found for made in pair]
        dtype = BY_ENGINE[first.dtype]
        out.append(merged(dtype, shapes) if len(found) > 1 else Fact(dtype, TensorShape(None)))
    return out


def _opaque(call, attrs, facts) -> list[Fact]:
    """A result whose shape depends on a value: only its element type is known."""
    declared = call.result_dtype(attrs) if hasattr(call, "result_dtype") else None
    dtype = declared or (facts[0].dtype if facts else None)
    if dtype is None:
        raise NotImplementedError(f"{call.name}: its shape depends on a value of the graph")
    return [Fact(dtype, TensorShape(None))]


# ---------- values that follow from shapes and constants ----------
def _known_values(call, given, facts, made) -> list:
    """For each result its two values, where they are small and follow from known ones."""
    if _shape_value(call):
        rows = [[f.probes[k] for f in facts] for k in (0, 1)]
        return [tuple(call.value(given[k], *rows[k]) for k in (0, 1))]
    small = all(f.size <= SMALL and f.dtype.kind in "bui" for f in made)
    folds = isinstance(call, Call) and facts and small
    if not folds or any(f.known is None for f in facts):
        return [None] * len(made)
    rows = [folded(call, given[k], [f.known[k] for f in facts]) for k in (0, 1)]
    return list(zip(*rows, strict=True))


def _shape_value(call) -> bool:
    return getattr(call, "value", None) is not None


def folded(call, attrs, values: list[np.ndarray]) -> list[np.ndarray]:
    """The call on known values, by the reference interpreter: arithmetic on shapes, in int64."""
    values = [v.astype(np.int64) if v.dtype.kind in "iu" else v for v in values]
    forms = [form(v.shape, BY_NUMPY[v.dtype]) for v in values]
    leaves = [leaf(i, f) for i, f in enumerate(forms)]
    made = call.expand(attrs, *leaves)
    made = list(made) if isinstance(made, tuple) else [made]
    program = compile_graph(leaves, [], made, {}, device="reference")
    results = program([Buffer.of(v) for v in values], [])
    return [b.array(n.form).copy() for b, n in zip(results, made, strict=True)]


BY_NUMPY = {e.numpy: e for e in BY_ENGINE}
