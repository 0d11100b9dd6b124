"""Loops and choices inside of tf.function, as parts of its program.

Role: what `tf.while_loop`, `tf.scan`, `tf.map_fn`, the folds and `tf.cond` do where a function is
being recorded: the user's function is recorded once, with values that stand for those of a step,
and becomes the body of a loop. Structures of tensors are taken apart and put together here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gemel.ops.loops import UNBOUNDED
from gemel.tensor.looping import run_in_loop

from .convert import convert_to_tensor
from .eager import EagerTensor
from .tensor_arrays import TensorArray


# ---------- structures ----------
def flat(value) -> list[EagerTensor]:
    """The tensors of a structure of lists, tuples and dictionaries."""
    if isinstance(value, TensorArray):
        return [value.carried()]
    if isinstance(value, dict):
        return [t for key in sorted(value) for t in flat(value[key])]
    if isinstance(value, (list, tuple)):
        return [t for part in value for t in flat(part)]
    return [convert_to_tensor(value)]


def like(pattern, tensors: Iterator):
    """The next tensors in the structure of a pattern."""
    if isinstance(pattern, TensorArray):
        return pattern.after(next(tensors))
    if isinstance(pattern, dict):
        made = {key: like(pattern[key], tensors) for key in sorted(pattern)}
        return type(pattern)((key, made[key]) for key in pattern)
    if isinstance(pattern, (list, tuple)):
        parts = [like(part, tensors) for part in pattern]
        return type(pattern)(*parts) if hasattr(pattern, "_fields") else type(pattern)(parts)
    return next(tensors)


def shaped(body: Callable, state):
    """The state, whose arrays of tensors know the shape of these: where one is to learn it from the
    first write, a call of the body tells."""
    if not any(isinstance(x, TensorArray) and x.needs_shape() for x in state):
        return state
    made = body(*state)
    after = made if isinstance(made, (list, tuple)) else [made]
    pairs = zip(state, after, strict=False)
    known = [x.with_shape_of(y) if isinstance(x, TensorArray) else x for x, y in pairs]
    return known if isinstance(state, list) else tuple(known)


# ---------- loops ----------
def while_loop(cond: Callable, body: Callable, state, most: int | None):
    """The last state of `body` over and over while cond holds."""
    state = shaped(body, state)
    pattern = list(state)
    given = flat(pattern)

    def holds(values):
        return convert_to_tensor(cond(*like(pattern, iter(values))))

    def step(number, slices, carried):
        made = body(*like(pattern, iter(carried)))
        after = _as_before(carried, flat(made if isinstance(made, (list, tuple)) else [made]))
        return holds(after), after, []

    steps = UNBOUNDED if most is None else int(most)
    found, _, _ = run_in_loop(step, [], given, steps, truth=holds(given))
    return like(state, iter(found))


def _as_before(before: list, after: list) -> list:
    """Checks of TensorFlow on what a step makes of its state."""
    if len(before) != len(after):
        raise ValueError(
            "The number of inputs and outputs of the loop body must match: "
            f"{len(before)} against {len(after)}"
        )
    for old, new in zip(before, after, strict=True):
        if old.dtype is not new.dtype:
            raise TypeError(
                f"A loop variable enters the loop with type {old.dtype!r}, but has type "
                f"{new.dtype!r} after 1 iteration."
            )
        if tuple(old.shape) != tuple(new.shape):
            raise ValueError(
                f"A loop variable enters the loop with shape {old.shape}, but has shape "
                f"{new.shape} after one iteration. Keep its shape: shapes that change from step to "
                "step are not supported inside of tf.function."
            )
    return after


def mapped(fn: Callable, elems):
    """fn of each row, stacked."""
    made: list = []

    def step(number, slices, carried):
        made[:] = [fn(like(elems, iter(slices)))]
        return [], flat(made[0])

    rows = flat(elems)
    _, found, _ = run_in_loop(step, rows, [], rows[0].shape[0])
    return like(made[0], iter(found))


def scanned(fn: Callable, elems, initializer, backwards: bool, all_values: bool):
    """fn(value so far, row) from row to row; all values stacked, or the last one."""
    rows = flat(elems)
    first = initializer
    if initializer is None:
        at = rows[0].shape[0] - 1 if backwards else 0
        first = like(elems, iter([r[at] for r in rows]))
        rows = [r[:-1] if backwards else r[1:] for r in rows]
    given = flat(first)

    def step(number, slices, carried):
        new = fn(like(first, iter(carried)), like(elems, iter(slices)))
        after = _as_before(carried, flat(new))
        return after, after if all_values else []

    steps = rows[0].shape[0]
    last, stacks, _ = run_in_loop(step, rows, given, steps, backwards=backwards)
    if not all_values:
        return like(first, iter(last))
    if initializer is None:
        stacks = [with_first(x, s, backwards) for x, s in zip(given, stacks, strict=True)]
    return like(first, iter(stacks))


def with_first(first, rows, backwards: bool):
    """The rows behind the first value, or in front of it."""
    from .array import concat, expand_dims

    parts = [expand_dims(first, 0), rows]
    return concat(parts[::-1] if backwards else parts, 0)


# ---------- choices ----------
def chosen(pred, yes: Callable, no: Callable):
    """yes() where the truth value holds, else no(); only that one is computed."""
    from .array import where
    from .math import cast

    truth = convert_to_tensor(pred)
    runs = cast(truth, "int64")
    found, patterns = [], []
    for limit, side in ((runs, yes), (1 - runs, no)):
        made: list = []

        def step(number, slices, carried, side=side, made=made):
            made[:] = [side()]
            return [], flat(made[0])

        _, stacks, _ = run_in_loop(step, [], [], 1, limit=limit, whole=True, kin=EagerTensor)
        found.append([x[0] for x in stacks])
        patterns.append(made[0])
    if len(found[0]) != len(found[1]):
        raise ValueError("true_fn and false_fn must return the same number of results")
    for a, b in zip(*found, strict=True):
        if a.dtype is not b.dtype:
            raise TypeError(f"true_fn and false_fn return different types: {a.dtype} and {b.dtype}")
    return like(patterns[0], iter([where(truth, a, b) for a, b in zip(*found, strict=True)]))
