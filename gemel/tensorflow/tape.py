"""`tf.GradientTape` over the engine's reverse mode.

Role: what is computed from watched tensors while a tape records can be differentiated. In: targets
and sources, nested. Out: gradients in the sources' structure, None where there is no way. A tensor
is watched by being an end of gradients for the engine; outside of all tapes nothing is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gemel import tensor as engine
from gemel.tensor.lookups import Lookups, close_lookups, open_lookups, with_rows

from .eager import EagerTensor
from .recording import OPEN, TAPES
from .symbolic import SymbolicTensor
from .variables import EagerVariable


class UnconnectedGradients:
    """What a gradient is where the target does not depend on the source."""

    NONE = "none"
    ZERO = "zero"


class GradientTape:
    """Records operations for differentiation.

    persistent                may `gradient` be called several times?
    watch_accessed_variables  are trainable variables watched when they are read?
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        self._persistent = persistent
        self.watches_accessed = watch_accessed_variables
        self._watched: dict[int, EagerTensor] = {}
        self._variables: dict[int, tuple[EagerVariable, list[EagerTensor]]] = {}
        self._recording = False
        self._used = False
        self._companions = False
        self._lookups = Lookups()

    def __enter__(self) -> GradientTape:
        if self._recording:
            raise ValueError("Tape is still recording, This can happen if you try to re-enter an "
                             "already-active tape.")
        self._recording = True
        self._companions = bool(TAPES)
        for tape in TAPES:
            tape._companions = True
        TAPES.append(self)
        OPEN.add(self)
        open_lookups(self._lookups)
        return self

    def __exit__(self, *exc) -> None:
        self._stop()

    def _stop(self) -> None:
        self._recording = False
        _remove(TAPES, self)
        close_lookups(self._lookups)
        for tensor in self._watched.values():
            if not any(id(tensor) in tape._watched for tape in TAPES):
                _unwatch(tensor)

    def watch(self, tensor) -> None:
        """What is computed from the tensor (or each of nested ones) can be differentiated."""
        for x in _leaves(tensor):
            self._watch(x)

    def _watch(self, x) -> None:
        if isinstance(x, SymbolicTensor):
            raise ValueError("GradientTape works on eager tensors; in a graph use tf.gradients.")
        if isinstance(x, EagerVariable):
            self.seen(x)
            return
        if _is_foreign(x):
            self.foreign(x)
            return
        t = x
        if not isinstance(t, EagerTensor):
            raise ValueError(f"Passed in object {x!r} of type '{type(x).__name__}', not tf.Tensor "
                             "or tf.Variable or ExtensionType.")
        self._watch_tensor(t)

    def _watch_tensor(self, t: EagerTensor) -> None:
        if t.form.dtype.is_smooth and id(t) not in self._watched:
            self._watched[id(t)] = t
            engine.watch(t)

    def seen(self, variable: EagerVariable) -> None:
        """Watch a variable's present value. After an assignment it has another tensor."""
        _, tensors = self._variables.setdefault(id(variable), (variable, []))
        if not tensors or tensors[-1] is not variable._tensor:
            tensors.append(variable._tensor)
            self._watch_tensor(variable._tensor)

    def foreign(self, variable) -> None:
        """Watch a Keras variable: the tensor over its storage."""
        self._lookups.read(variable._value)
        self._variables.setdefault(id(variable), (variable, [variable._value]))
        self._watch_tensor(variable._value)

    def watched_variables(self) -> tuple:
        return tuple(v for v, _ in self._variables.values())

    def reset(self) -> None:
        """Forget what was recorded."""
        recording = self._recording
        if recording:
            self._stop()
        self._watched.clear()
        self._variables.clear()
        self._lookups = Lookups()
        self._used = False
        if recording:
            self.__enter__()

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """What is computed inside is not differentiated."""
        if not self._recording:
            raise ValueError("Tape is not recording.")
        with engine.no_grad():
            yield

    # ---------- gradients ----------
    def gradient(
        self,
        target,
        sources,
        output_gradients=None,
        unconnected_gradients=UnconnectedGradients.NONE,
    ):
        """The gradient of the sum of the targets for each source.

        Raises RuntimeError for a second call on a tape that is not persistent, TypeError for
        targets or sources that are no tensors.
        """
        self._take_turn()
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(f"Unknown value for unconnected_gradients: {unconnected_gradients!r}")
        rows = [self._source(x) for x in _leaves(sources)]
        targets = [_target(x) for x in _leaves(target)]
        seeds = _cotangents(targets, output_gradients)
        with self._opened():
            found = self._differentiated(targets, seeds, [t for row in rows for t in row])
        found = _summed(found, rows)
        if unconnected_gradients == "zero":
            pairs = zip(found, rows, strict=True)
            found = [_zeros_like(row[0]) if g is None else g for g, row in pairs]
        made = iter(found)
        return _mapped(sources, lambda x: next(made))

    def _take_turn(self) -> None:
        if self._used and not self._persistent:
            raise RuntimeError(
                "A non-persistent GradientTape can only be used to compute one set of gradients "
                "(or jacobians)"
            )
        self._used = True
        if not self._persistent:
            OPEN.discard(self)
        if self._recording and not self._persistent:
            self._stop()

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """The watched tensors are ends of gradients again."""
        closed = [t for t in self._watched.values() if not t.lrg and t.base is None]
        closed = [t for t in closed if not engine.requires_grad(t)]
        for t in closed:
            engine.set_requires_grad(t)
        try:
            yield
        finally:
            for t in closed:
                _unwatch(t)

    def _source(self, x) -> list[engine.Tensor]:
        """The engine's tensors behind a source: of a variable, each value that the tape saw."""
        if isinstance(x, EagerVariable):
            found = self._variables.get(id(x))
            return list(found[1]) if found else [x._tensor]
        if _is_foreign(x):
            return [x._value]
        return [_tensor(x)]

    def _differentiated(self, targets, seeds, inputs) -> list:
        roots = [(t, s) for t, s in zip(targets, seeds, strict=True) if engine.requires_grad(t)]
        ends = [x for x in inputs if x is not None and engine.requires_grad(x)]
        if not roots or not ends:
            return [None] * len(inputs)
        create = bool(TAPES)
        read = self._lookups.rows_of(ends)
        found = engine.grad(
            [t for t, _ in roots],
            ends + [taken for pairs in read for _, taken in pairs],
            [s for _, s in roots],
            retain_graph=self._persistent or create or self._companions,
            create_graph=create,
            allow_unused=True,
        )
        with_rows(found[: len(ends)], read, found[len(ends) :])
        by_id = {id(x): g for x, g in zip(ends, found, strict=False)}
        return [None if x is None else by_id.get(id(x)) for x in inputs]

    def jacobian(
        self,
        target,
        sources,
        unconnected_gradients=UnconnectedGradients.NONE,
        parallel_iterations=None,
        experimental_use_pfor: bool = True,
    ):
        """The gradient of each cell of the target: shapes target + source."""
        from .array import reshape, stack

        self._take_turn()
        flat = reshape(target, [-1])
        inputs = [self._source(x)[-1] for x in _leaves(sources)]
        rows = []
        with self._opened():
            for i in range(flat.form.size):
                rows.append(self._row(flat[i], inputs))
        made = []
        for k, x in enumerate(inputs):
            column = [row[k] for row in rows]
            if all(g is None for g in column):
                made.append(None if unconnected_gradients == "none" else _zeros_like(x))
                continue
            column = [_zeros_like(x) if g is None else g for g in column]
            made.append(reshape(stack(column), [*target.form.shape, *x.form.shape]))
        found = iter(made)
        return _mapped(sources, lambda x: next(found))

    def _row(self, cell, inputs) -> list:
        ends = [x for x in inputs if engine.requires_grad(x)]
        if not engine.requires_grad(cell) or not ends:
            return [None] * len(inputs)
        found = engine.grad([cell], ends, None, True, bool(TAPES), allow_unused=True)
        by_id = {id(x): g for x, g in zip(ends, found, strict=True)}
        return [by_id.get(id(x)) for x in inputs]


def _remove(tapes: list, tape: GradientTape) -> None:
    for i, t in enumerate(tapes):
        if t is tape:
            del tapes[i]
            return


def _unwatch(t: EagerTensor) -> None:
    if t.lrg:
        engine.set_requires_grad(t, False)


def _summed(found: list, rows: list[list]) -> list:
    """One gradient for each row of tensors: a variable has several where it was assigned."""
    parts = iter(found)
    out = []
    for row in rows:
        there = [g for g in (next(parts) for _ in row) if g is not None]
        total = there[0] if there else None
        for g in there[1:]:
            total = total + g
        out.append(total)
    return out


def _is_foreign(x) -> bool:
    """Is it a variable of Keras?"""
    return isinstance(getattr(x, "_value", None), engine.Tensor)


def _tensor(x) -> EagerTensor:
    if isinstance(x, EagerTensor):
        return x
    raise TypeError(f"Gradient sources must be tensors or variables, not {type(x).__name__}: {x!r}")


def _target(x):
    if isinstance(x, EagerVariable):
        return x._tensor
    if isinstance(x, EagerTensor):
        return x
    raise TypeError(f"Argument `target` should be a tensor or nested tensors, received {x!r}")


def _cotangents(targets: list, given) -> list:
    from .array import ones
    from .convert import eagerly

    if given is None:
        seeds = [None] * len(targets)
    else:
        seeds = list(given) if isinstance(given, (list, tuple)) else [given]
    made = []
    for t, s in zip(targets, seeds, strict=True):
        if s is not None:
            made.append(eagerly(s, t.dtype))
        else:
            made.append(None if t.form.size == 1 else ones(t.form.shape, t.dtype))
    return made


def _zeros_like(x):
    return engine.fill(x.form.shape, 0.0, x.form.dtype, EagerTensor)


def _leaves(structure) -> Iterator:
    if isinstance(structure, Mapping):
        for key in structure:
            yield from _leaves(structure[key])
    elif isinstance(structure, (list, tuple)):
        for part in structure:
            yield from _leaves(part)
    else:
        yield structure


def _mapped(structure, change):
    """The same structure with each leaf changed."""
    if isinstance(structure, Mapping):
        return type(structure)((k, _mapped(v, change)) for k, v in structure.items())
    if isinstance(structure, (list, tuple)):
        made = [_mapped(v, change) for v in structure]
        if hasattr(structure, "_fields"):
            return type(structure)(*made)
        return type(structure)(made)
    return change(structure)
