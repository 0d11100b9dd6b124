"""Control flow of `keras.ops`: cond, loops, scans, maps, and custom gradients.

Outside a trace these are Python's own: values are looked at. Inside one, a branch on a value takes
both ways and selects; `while_loop` and `scan` become loops of the program.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable

from keras.src import tree
from keras.src.backend.common.stateless_scope import StatelessScope

from gemel import tensor as lazy
from gemel.ops.loops import UNBOUNDED
from gemel.tensor.again import computed_again
from gemel.tensor.looping import run_in_loop

from .arithmetic import OPS, stop_gradient, where
from .creation import zeros_like
from .reductions import REDUCTIONS
from .shaping import concatenate, flip, narrow, position, stack
from .tensors import convert_to_tensor, is_tensor, tensor


# ---------- branches ----------
def _known(pred) -> bool | None:
    """The truth of a condition, or None where only the running program knows it."""
    if hasattr(pred, "value") and not is_tensor(pred):
        pred = pred.value
    if not is_tensor(pred):
        return bool(pred)
    return None if lazy.tracing() else bool(pred)


class BranchScope(StatelessScope):
    """Collects what one branch assigns; reads what lies outside through it."""

    def __init__(self) -> None:
        super().__init__(initialize_variables=False)
        self.assigned: dict = {}

    def add_update(self, update) -> None:
        """Remember the variable as well as its value."""
        self.assigned[id(update[0])] = update[0]
        super().add_update(update)

    def get_current_value(self, variable):
        """The value inside the branch, else that of the scope around it."""
        found = super().get_current_value(variable)
        if found is None and self.original_scope is not None:
            return self.original_scope.get_current_value(variable)
        return found


def cond(pred, true_fn: Callable, false_fn: Callable):
    known = _known(pred)
    if known is not None:
        return true_fn() if known else false_fn()
    pred = tensor(pred)
    with BranchScope() as yes:
        first = true_fn()
    with BranchScope() as no:
        second = false_fn()
    for variable in {**yes.assigned, **no.assigned}.values():
        before = variable.value
        a, b = (scope.state_mapping.get(id(variable), before) for scope in (yes, no))
        variable.assign(where(pred, a, b))
    return tree.map_structure(
        lambda a, b: a if a is None and b is None else where(pred, a, b), first, second
    )


def switch(index, branches, *operands):
    if lazy.tracing() and is_tensor(index):
        found = branches[-1](*operands)
        for i in range(len(branches) - 2, -1, -1):
            pred = OPS["less_equal"](index, i)
            found = cond(pred, lambda i=i: branches[i](*operands), lambda found=found: found)
        return found
    place = min(max(int(index), 0), len(branches) - 1)
    return branches[place](*operands)


# ---------- loops ----------
def while_loop(cond, body, loop_vars, maximum_iterations=None):
    is_tuple = isinstance(loop_vars, (tuple, list))
    state = tuple(loop_vars) if is_tuple else (loop_vars,)
    state = tree.map_structure(convert_to_tensor, state)
    if lazy.tracing() and is_tensor(cond(*state)):
        return _in_program(cond, body, state, maximum_iterations, is_tuple)
    count = 0
    while (maximum_iterations is None or count < maximum_iterations) and bool(cond(*state)):
        new = body(*state)
        state = tuple(new) if isinstance(new, (list, tuple)) else (new,)
        count += 1
    return state if is_tuple else state[0]


def _in_program(cond, body, state, most, is_tuple: bool):
    """Inside a trace: a loop of the program, of at most so many turns."""

    def truth(values):
        return convert_to_tensor(cond(*tree.pack_sequence_as(state, values)))

    def turn(number, slices, carried):
        new = body(*tree.pack_sequence_as(state, carried))
        new = tuple(new) if isinstance(new, (list, tuple)) else (new,)
        after = [tensor(x) for x in tree.flatten(new)]
        return truth(after), after, []

    first = tree.flatten(state)
    steps = UNBOUNDED if most is None else int(most)
    found, _, _ = run_in_loop(turn, [], first, steps, truth=truth(first))
    state = tree.pack_sequence_as(state, found)
    return state if is_tuple else state[0]


def fori_loop(lower, upper, body_fun, init_val):
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


def map(f, xs):
    return scan(lambda _, x: ((), f(x)), (), xs)[1]


def vectorized_map(function, elements):
    if not isinstance(elements, (list, tuple)):
        rows = [function(x) for x in tensor(elements)]
    else:
        rows = [function(list(row)) for row in zip(*(tensor(e) for e in elements), strict=True)]
    return tree.map_structure(lambda *parts: stack(parts), *rows)


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """Carries a value along the first axis. Inside a trace the step is recorded once, elsewhere the
    steps are recorded one after another."""
    if not callable(f):
        raise TypeError(f"`f` should be a callable. Received: f={f}")
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ValueError(
            f"`unroll` must be an positive integer or boolean. Received: unroll={unroll}"
        )
    if xs is None and length is None:
        raise ValueError("Got no `xs` to scan over and `length` not provided.")
    rows = [tensor(x) for x in tree.flatten(xs)] if xs is not None else []
    n = int(length) if length is not None else rows[0].form.shape[0]
    carry = tree.map_structure(convert_to_tensor, init)
    blank = tree.map_structure(zeros_like, carry)
    if lazy.tracing() and n > 1:
        return _scanned(f, carry, blank, xs, rows, n, reverse)
    made = []
    for i in range(n - 1, -1, -1) if reverse else range(n):
        row = tree.pack_sequence_as(xs, [x[i] for x in rows]) if rows else None
        carry, y = f(carry, row)
        made.append(blank if y is None else y)
    if reverse:
        made.reverse()
    return carry, tree.map_structure(lambda *ys: stack(ys), *made)


def _scanned(f, carry, blank, xs, rows: list, n: int, backwards: bool):
    """The same as a loop of the program."""
    made: list = []

    def turn(number, slices, carried):
        row = tree.pack_sequence_as(xs, slices) if slices else None
        new, y = f(tree.pack_sequence_as(carry, carried), row)
        made[:] = [blank if y is None else y]
        return [tensor(x) for x in tree.flatten(new)], [tensor(x) for x in tree.flatten(made[0])]

    first = tree.flatten(carry)
    kin = (*rows, *first)[0].kin
    last, stacks, _ = run_in_loop(turn, rows, first, n, backwards=backwards, kin=kin)
    return tree.pack_sequence_as(carry, last), tree.pack_sequence_as(made[0], stacks)


def associative_scan(f, elems, reverse=False, axis=0):
    """Running totals of an associative f; its reach doubles at every pass."""
    if not callable(f):
        raise TypeError(f"`f` should be a callable. Received: f={f}")
    parts = [tensor(e) for e in tree.flatten(elems)]
    axes = [position(axis, p.form.ndim) for p in parts]
    sizes = {p.form.shape[a] for p, a in zip(parts, axes, strict=True)}
    if len(sizes) > 1:
        raise ValueError(
            "Array inputs to associative_scan must have the same first dimension. "
            f"(saw: {[p.form.shape for p in parts]})"
        )
    if reverse:
        parts = [flip(p, a) for p, a in zip(parts, axes, strict=True)]
    n, reach = sizes.pop(), 1
    while reach < n:
        early = [narrow(p, a, 0, n - reach) for p, a in zip(parts, axes, strict=True)]
        late = [narrow(p, a, reach, n - reach) for p, a in zip(parts, axes, strict=True)]
        new = f(tree.pack_sequence_as(elems, early), tree.pack_sequence_as(elems, late))
        parts = [
            concatenate([narrow(p, a, 0, reach), tensor(v)], a)
            for p, v, a in zip(parts, tree.flatten(new), axes, strict=True)
        ]
        reach *= 2
    if reverse:
        parts = [flip(p, a) for p, a in zip(parts, axes, strict=True)]
    return tree.pack_sequence_as(elems, parts)


# ---------- gradients ----------
class custom_gradient:
    """A function with a gradient of its own.

    fun(*args) gives (result, grad), and grad(upstream) the gradients of the arguments, linear in
    upstream. The result is tied to the arguments by a term whose value is zero and whose gradient
    is grad's: the derivative, by a stand-in for upstream, of the sum of grad(stand-in) times the
    arguments' distance from themselves.
    """

    def __init__(self, fun: Callable) -> None:
        self.fun = fun

    def __call__(self, *args, **kwargs):
        result, gradient = self.fun(*args, **kwargs)
        given = [getattr(a, "value", a) if not is_tensor(a) else a for a in args]
        held = [is_tensor(a) and lazy.requires_grad(a) for a in given]
        if not any(held):
            return result
        upstream = zeros_like(stop_gradient(result))
        lazy.watch(upstream)
        found = gradient(upstream)
        found = list(found) if isinstance(found, (list, tuple)) else [found]
        total = None
        for a, g, counts in zip(given, found, held, strict=False):
            if counts and g is not None:
                part = REDUCTIONS["sum"](g * (a - stop_gradient(a)))
                total = part if total is None else total + part
        result = stop_gradient(result)
        if total is None or not lazy.requires_grad(total):
            return result
        (tie,) = lazy.grad([total], [upstream], create_graph=True, allow_unused=True)
        return result if tie is None else result + tie


def remat(f: Callable) -> Callable:
    """f, computed again where gradients need what is inside of it, instead of keeping that."""

    @functools.wraps(f)
    def wrapped(*args, **kwargs):
        with computed_again():
            return f(*args, **kwargs)

    return wrapped


@contextlib.contextmanager
def device_scope(device_name):
    """Places: there is the CPU. Other names are ValueError."""
    name = str(device_name).lower().split(":")[0]
    if name not in ("cpu", "meta"):
        raise ValueError(
            f"device {device_name!r} is not available in Gemel; there is: 'cpu'"
        )
    yield

