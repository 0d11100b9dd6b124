"""A plan: what a session knows about one set of fetches and feeds.

Role: turns fed values into one program call. In: values in the feeds' order. Out: the fetched
values. Invariant: programs are kept by the shapes that are fed; on a known shape the work is to
copy the feeds into their places, hand over the buffers, and take the results.
"""

from __future__ import annotations

from os import urandom
from sys import getrefcount

import numpy as np

from gemel.graph.form import form, uint32
from gemel.graph.node import order
from gemel.ops.record import LEAF
from gemel.passes.compile import compile_graph, default_device
from gemel.runtime.buffer import Buffer

from . import errors, inference
from .expansion import CELL, CONSTANT, FEED, INITIALIZED, STATE, Expansion, needed
from .symbolic import SymbolicTensor


class Plan:
    """held: what the plan keeps alive because the session knows it by identity."""

    def __init__(self, session, structure, tensors: list[SymbolicTensor]):
        self.session = session
        self.tensors = tensors
        self.structure = structure
        self.held: list = []
        self.statics: dict[SymbolicTensor, int] = {}
        self.places = {t: i for i, t in enumerate(tensors)}
        self._types = [t.dtype.engine.numpy for t in tensors]
        self._steps: dict = {}
        self._device = default_device()
        fed = {t.op for t in tensors}
        self._operations = needed(structure.operations, fed)

    def run(self, values):
        """Run the program for values of these shapes; it is made when they are new."""
        arrays = [
            v if v.__class__ is np.ndarray and v.dtype is d else self._as_array(t, v)
            for t, v, d in zip(self.tensors, values, self._types, strict=True)
        ]
        if self._device != default_device():
            self._device = default_device()
            self._steps.clear()
        step = self._steps.get(tuple([a.shape for a in arrays]))
        if step is None or step.__class__ is dict:
            step = self._step(arrays, step)
        return step(arrays)

    @staticmethod
    def _as_array(tensor, value) -> np.ndarray:
        from .session import fed_array

        return fed_array(tensor, value)

    def _step(self, arrays: list[np.ndarray], known: dict | None) -> Step:
        from .session import fed_array

        for tensor, array in zip(self.tensors, arrays, strict=True):
            fed_array(tensor, array)
        shapes = tuple([a.shape for a in arrays])
        key = self._static_key(arrays)
        if known is not None and key in known:
            return known[key]
        while True:
            try:
                made = self._expanded(arrays)
                break
            except inference.Unknown as unknown:
                self._make_static(unknown.tensor, arrays)
        step = Step(self, made, arrays)
        if self.statics:
            self._steps.setdefault(shapes, {})[self._static_key(arrays)] = step
        else:
            self._steps[shapes] = step
        return step

    def _static_key(self, arrays) -> tuple:
        return tuple(arrays[i].tobytes() for i in self.statics.values())

    def _make_static(self, tensor, arrays) -> None:
        """A shape depends on a fed value: from now on there is a program for each such value."""
        place = self.places.get(tensor)
        if place is None or tensor in self.statics or arrays[place].size > inference.SMALL:
            raise NotImplementedError(
                f"A shape or an axis depends on the value of {tensor}, which is computed in the "
                "same run. Only constants, shapes and fed values may decide them."
            )
        self.statics[tensor] = place
        self._steps.clear()

    def _expanded(self, arrays) -> Expansion:
        pairs = list(zip(self.tensors, arrays, strict=True))
        forms = {t: form(a.shape, t.dtype.engine) for t, a in pairs}
        statics = {t: np.array(a) for t, a in pairs if t in self.statics}
        made = Expansion(forms, statics)
        made.run(self._operations)
        return made


class Step:
    """One program with its buffers: the plan for one set of shapes."""

    def __init__(self, plan: Plan, made: Expansion, arrays: list[np.ndarray]):
        session = plan.session
        outputs = [made.node(t) for t in plan.structure.tensors]
        written = list(made.writes.items())
        kept = _used(made, outputs + made.checks + [n for _, n in written])
        self.sources = [made.sources[i] for i in kept]
        leaves = [made.leaves[i] for i in kept]
        place = {what: i for i, (kind, what) in enumerate(self.sources) if kind is CELL}
        updates = {place[v]: n for v, n in written if v in place}
        fresh = [(session.cell(v), n) for v, n in written if v not in place]
        self.forms = [n.form for n in outputs]
        self.fresh = [cell for cell, _ in fresh]
        self.count = len(outputs)
        results = outputs + [n for _, n in fresh] + made.checks
        leaves, results, updates = _renumbered(leaves, results, updates)
        self.program = compile_graph(leaves, [], results, updates)
        self.total = len(results)
        self._place_inputs(plan, leaves)
        self._place_results(plan, updates)

    # ---------- making ----------
    def _place_inputs(self, plan: Plan, leaves) -> None:
        session = plan.session
        self.inputs: list = [None] * len(leaves)
        self.cells = []
        self.feeds = []
        self.states = []
        self.flags = []
        for i, (kind, what) in enumerate(self.sources):
            if kind is CELL:
                self.cells.append((i, session.cell(what)))
                continue
            buffer = self.inputs[i] = Buffer(leaves[i].form.nbytes)
            view = buffer.array(leaves[i].form)
            if kind is FEED:
                self.feeds.append((plan.places[what], view))
            elif kind is CONSTANT:
                view[...] = what.body.value
            elif kind is STATE:
                self.states.append((view, RandomState(session.counter(what[0]), *what[1:])))
            elif kind is INITIALIZED:
                self.flags.append((view, session.cell(what)))

    def _place_results(self, plan: Plan, updates) -> None:
        cells = dict(self.cells)
        self.renewed = [cells[i] for i in self.program.updates]
        self.donated = [i for i in self.program.donated if i in cells]
        tensors = iter(range(self.count))
        elements = plan.structure.elements
        self.order = [next(tensors) if isinstance(e, SymbolicTensor) else None for e in elements]
        self.plain = None not in self.order
        self.pack = plan.structure.packer()

    # ---------- running ----------
    def __call__(self, arrays):
        inputs = self.inputs.copy()
        for i, view in self.feeds:
            view[...] = arrays[i]
        for i, cell in self.cells:
            buffer = inputs[i] = cell.buffer
            if buffer is None:
                raise _uninitialized(cell.name)
        buffer = None
        if self.states or self.flags:
            self._prepare()
        held = [i for i in self.donated if getrefcount(inputs[i]) > _DONATED]
        if held:
            self._own(inputs, held)
        out = self.program(inputs, [])
        del inputs
        if self.renewed or self.fresh:
            self._store(out)
        values = [_value(out, k, f) for k, f in enumerate(self.forms)]
        if not self.plain:
            values = [None if k is None else values[k] for k in self.order]
        return self.pack(values)

    def _own(self, inputs: list, held: list[int]) -> None:
        """The program overwrites these; others still look at them, so it gets copies."""
        cells = dict(self.cells)
        for i in held:
            cells[i].buffer = inputs[i] = inputs[i].copy()

    def _prepare(self) -> None:
        for view, state in self.states:
            view[...] = state.words()
        for view, cell in self.flags:
            view[...] = cell.buffer is not None

    def _store(self, out) -> None:
        """The variables' new values; where the program wrote in place the buffer stays."""
        k = self.total
        for cell in self.renewed:
            if out[k] is not None:
                cell.buffer = out[k]
            k += 1
        k = self.count
        for cell in self.fresh:
            cell.buffer = out[k]
            k += 1


def _value(out: list, k: int, f):
    """A fetched value as NumPy; copied where somebody beside the list holds the buffer."""
    array = out[k].array(f)
    if f.ndim == 0:
        return array[()]
    # the array holds the buffer as well
    return array.copy() if _holders(out, k) > _IN_LIST + 1 else array


def _holders(buffers: list, k: int) -> int:
    return getrefcount(buffers[k])


def _cell_holders() -> int:
    """What getrefcount says in `Step.__call__` of a buffer that a cell and the list hold."""
    inputs = [Buffer(0)]
    cell = inputs.copy()
    return [getrefcount(inputs[i]) for i in range(len(cell))][0]


_IN_LIST = _holders([Buffer(0)], 0)
_DONATED = _cell_holders()


class RandomState:
    """The Philox words of a random operation, moved on at each run by as much as it draws, so many
    times if it stands in a loop."""

    def __init__(self, counter: list[int], body, attrs: tuple, turns: int):
        self.counter = counter
        self.seeds = body.seeds
        if self.seeds == (0, 0):  # unseeded: the operating system gives a stream to each session
            self.seeds = tuple(int.from_bytes(urandom(8), "little") for _ in range(2))
        self.step = body.sampler.counters(attrs[0]) * turns

    def words(self) -> np.ndarray:
        first = self.counter[0]
        self.counter[0] = first + self.step
        return philox_words(self.seeds, first)


def philox_words(seeds: tuple[int, int], counter: int) -> np.ndarray:
    """Key and counter of a stateful operation: key = first seed, counter = second seed * 2^64."""
    mask = 0xFFFFFFFF
    key = seeds[0] & (1 << 64) - 1
    at = ((seeds[1] & (1 << 64) - 1) << 64) + counter
    parts = [key & mask, key >> 32, *(at >> s & mask for s in (0, 32, 64, 96))]
    return np.array(parts, uint32.numpy)


def _used(made: Expansion, roots) -> list[int]:
    """Positions of the leaves that the roots reach."""
    return sorted(n.attrs[0] for n in order(roots) if n.op is LEAF)


def _renumbered(leaves, results, updates):
    """The same graph with its leaves numbered from 0 without gaps."""
    from gemel.graph.node import rewrite
    from gemel.ops.record import leaf

    if all(n.attrs[0] == i for i, n in enumerate(leaves)):
        return leaves, results, updates
    new = {n: leaf(i, n.form) for i, n in enumerate(leaves)}
    positions = list(updates)
    made = rewrite(results + [updates[p] for p in positions], lambda n: new.get(n))
    split = len(results)
    return list(new.values()), made[:split], dict(zip(positions, made[split:], strict=True))


def _uninitialized(name: str) -> errors.FailedPreconditionError:
    return errors.FailedPreconditionError(
        None,
        None,
        f"Could not find variable {name}: it is not initialized in this session. Run "
        "tf.global_variables_initializer() first.",
    )
