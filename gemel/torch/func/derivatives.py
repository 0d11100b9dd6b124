"""`grad`, `grad_and_value`, `vjp`, `jvp`, `linearize`: derivatives of functions of tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable

from gemel import tensor as lazy
from gemel.tensor.tape import LOCAL

from ..autograd.levels import Level, level
from ..autograd.pushing import Push
from ..tensor import Tensor
from .trees import Spec, flatten, tree_map, unflatten


# ---------- arguments ----------
def wrapped(argnums, count: int):
    """The positions as non-negative numbers: an int or a tuple."""
    if isinstance(argnums, int) and not isinstance(argnums, bool):
        if not -count <= argnums < count:
            raise RuntimeError(f"Got argnum={argnums}, but only {count} positional inputs")
        return argnums % count
    if isinstance(argnums, tuple):
        found = tuple(wrapped(a, count) for a in argnums)
        if not found:
            raise RuntimeError("argnums must be non-empty")
        if len(set(found)) != len(found):
            raise RuntimeError(f"argnums elements must be unique, got {argnums}")
        return found
    raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")


class Chosen:
    """The arguments that a derivative is taken for, as inputs of a level."""

    def __init__(self, lv: Level, args: tuple, argnums, dual: bool = False):
        self.argnums = wrapped(argnums, len(args))
        some = args[self.argnums] if isinstance(self.argnums, int) else [
            args[k] for k in self.argnums
        ]  # fmt: skip
        flat, self.spec = flatten(some)
        self.inputs = [lv.input(x) for x in flat]
        here = unflatten([lv.dual(x) for x in self.inputs] if dual else self.inputs, self.spec)
        self.args = list(args)
        if isinstance(self.argnums, int):
            self.args[self.argnums] = here
        else:
            for k, x in zip(self.argnums, here, strict=True):
                self.args[k] = x

    def like(self, leaves):
        """One value per input, in the structure of the chosen arguments."""
        found = unflatten(leaves, self.spec)
        return found if isinstance(self.argnums, int) else tuple(found)


def with_aux(result, has_aux: bool, name: str):
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(
            f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True"
        )
    return result


def tensors_of(result, name: str) -> tuple[list[Tensor], Spec]:
    """The flat outputs of a function, which must be tensors."""
    flat, spec = flatten(result)
    if not flat:
        raise RuntimeError(
            f"{name}: Expected f to be a function that has non-empty output (got output = {flat})"
        )
    for x in flat:
        if not isinstance(x, Tensor):
            raise RuntimeError(
                f"{name}: expected f(*primals) to return only tensors, got unsupported type "
                f"{type(x)}"
            )
    return flat, spec


def zeros_for(x: Tensor, lead: tuple[int, ...] = ()) -> Tensor:
    return lazy.fill((*lead, *x.form.shape), 0, x.form.dtype, Tensor)


def pulled(outputs, inputs, weights, create: bool, lanes: int = 0) -> list[Tensor]:
    """Gradients, zeros where there is no way."""
    pairs = [(y, w) for y, w in zip(outputs, weights, strict=True) if lazy.requires_grad(y)]
    lead = (lanes,) if lanes else ()
    if not pairs:
        return [zeros_for(x, lead) for x in inputs]
    ys, ws = zip(*pairs, strict=True)
    found = lazy.grad(ys, inputs, ws, True, create, allow_unused=True, lanes=lanes)
    return [zeros_for(x, lead) if g is None else g for x, g in zip(inputs, found, strict=True)]


# ---------- reverse mode ----------
def grad(func, argnums=0, has_aux=False) -> Callable:
    """The gradient of a function with one number as result, for the argument `argnums` (or a tuple
    of gradients for several). has_aux: the function gives (output, aux), the result (grad, aux)."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def run(*args, **options):
        slopes, rest = both(*args, **options)
        return (slopes, rest[1]) if has_aux else slopes

    return run


def grad_and_value(func, argnums=0, has_aux=False) -> Callable:
    """(gradient, value), or (gradient, (value, aux))."""

    @functools.wraps(func)
    def run(*args, **options):
        with level("grad") as lv:
            chosen = Chosen(lv, args, argnums)
            result = func(*chosen.args, **options)
            if has_aux and not (isinstance(result, tuple) and len(result) == 2):
                raise RuntimeError(
                    "grad_and_value(f)(*args): output of function f should be a tuple: (output, "
                    "aux) if has_aux is True"
                )
            output, aux = result if has_aux else (result, None)
            _check_number(output)
            create = lv.kept(output) if lazy.requires_grad(output) else False
            slopes = pulled([output], chosen.inputs, [None], create)
            slopes = chosen.like([lv.sealed(g) for g in slopes])
            output, aux = lv.sealed(output), tree_map(lv.sealed, aux)
        return (slopes, (output, aux)) if has_aux else (slopes, output)

    return run


def _check_number(output) -> None:
    if not isinstance(output, Tensor):
        raise RuntimeError(
            f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(output)}"
        )
    if output.form.ndim:
        raise RuntimeError(
            "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor "
            f"with {output.form.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
        )


def vjp(func, *primals, has_aux=False):
    """(func(*primals), function of cotangents[, aux]): the function gives the product of a
    cotangent of the output's structure with the Jacobian, a tuple with one entry per primal."""
    with level("vjp") as lv:
        chosen = Chosen(lv, primals, tuple(range(len(primals))))
        result, aux = with_aux(func(*chosen.args), has_aux, "vjp(f, *primals)")
        outputs, spec = tensors_of(result, "vjp(f, *primals)")
        pull = _Pull(lv, chosen, outputs, spec)
        out = unflatten([lv.sealed(y) for y in outputs], spec)
        aux = tree_map(lv.sealed, aux)
    return (out, pull, aux) if has_aux else (out, pull)


class _Pull:
    """The function that `vjp` gives."""

    def __init__(self, lv: Level, chosen: Chosen, outputs: list[Tensor], spec: Spec):
        self.level = lv
        self.chosen = chosen
        self.outputs = outputs
        self.spec = spec
        self.linear = Linear(self._pulled)

    def __call__(self, cotangents, retain_graph=True, create_graph=None):
        flat, spec = flatten(cotangents)
        if spec != self.spec:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function. cotangents: {spec}, primal output: {self.spec}"
            )
        for y, c in zip(self.outputs, flat, strict=True):
            if y.form.shape != c.form.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[0] has a shape of {c.shape} and output[0] "
                    f"has a shape of {y.shape}."
                )
        return self.chosen.like(self.linear(flat))

    def _pulled(self, cotangents: list[Tensor], lanes: int) -> list[Tensor]:
        create = lazy.grad_enabled() and (
            any(map(lazy.requires_grad, cotangents)) or self.level.kept(*self._smooth())
        )
        found = pulled(self.outputs, self.chosen.inputs, cotangents, create, lanes)
        return found if create else [g.detach() for g in found]

    def _smooth(self) -> list[Tensor]:
        return [y for y in self.outputs if lazy.requires_grad(y)]


class Linear:
    """A linear function of tensors through a history, which knows several values at once. Called
    inside `vmap`, the history is the caller's, and all lanes go through it in one pass."""

    def __init__(self, function: Callable):
        self.function = function
        self.home = _recording()

    def __call__(self, tensors: list, lanes: int = 0) -> list[Tensor]:
        recording = _recording()
        if recording is self.home or recording is None or not recording.size:
            return self.function(tensors, lanes)
        if any(lazy.requires_grad(t) for t in tensors if t is not None):
            raise NotImplementedError(
                "inside vmap, the function that vjp or linearize gave outside of it cannot be "
                "differentiated for what it is given"
            )
        return self._outside(recording, tensors, lanes)

    def _outside(self, recording, tensors: list, lanes: int) -> list[Tensor]:
        tape = LOCAL.tape
        given = [(None, False) if t is None else recording.lowered(t) for t in tensors]
        size = recording.size if any(many for _, many in given) else 0
        with recording.left(tape):
            wide = [
                t if many or not size or t is None else t.expand((size, *t.form.shape))
                for t, many in given
            ]
            if size and lanes:  # both at once, as one row of values
                wide = [t if t is None else t.reshape((size * lanes, *t.shape[2:])) for t in wide]
            found = self(wide, size * lanes or size or lanes)
            if size and lanes:
                found = [g.reshape((size, lanes, *g.shape[1:])) for g in found]
        return [recording.add_input(tape, g, bool(size)) for g in found]


def _recording():
    """The recording under way on this thread, None where there is none."""
    return LOCAL.tape.tracing


# ---------- forward mode ----------
def _check_tangents(name: str, primals, tangents, spec: Spec, other: Spec) -> None:
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{name}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    if spec != other:
        raise RuntimeError(
            f"{name}: Expected primals and tangents to have the same python structure. For "
            "example, if primals is a tuple of 3 tensors, tangents also must be. Got primals with "
            f"structure {spec} and tangents with structure {other}"
        )


def _check_flat(name: str, argument: str, flat: list) -> None:
    if not flat:
        raise RuntimeError(f"{name}: Expected {argument} to contain at least one Tensor.")
    for x in flat:
        if not isinstance(x, Tensor):
            raise RuntimeError(
                f"{name}: Expected {argument} to only contain Tensors, got {type(x)}"
            )


def check_tangent(x: Tensor, tangent: Tensor) -> None:
    """RuntimeError for a tangent that is not like its tensor."""
    if x.form.shape != tangent.form.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original "
            f"Tensor, this is not supported. Tensor is of size {list(x.form.shape)} while the "
            f"given forward gradient is of size {list(tangent.form.shape)}."
        )


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """(func(*primals), the Jacobian times the tangents[, aux])."""
    name = "jvp(f, primals, tangents)"
    flat, spec = flatten(primals)
    given, other = flatten(tangents)
    _check_tangents(name, primals, tangents, spec, other)
    _check_flat(name, "primals", flat)
    _check_flat(name, "tangents", given)
    for x, t in zip(flat, given, strict=True):
        check_tangent(x, t)
    with level("jvp") as lv:
        inputs = [lv.input(x) for x in flat]
        duals = unflatten([lv.dual(x) for x in inputs], spec)
        result, aux = with_aux(func(*duals), has_aux, name)
        outputs, out_spec = tensors_of(result, name)
        found = Pushed(lv, outputs, inputs)(given, strict)
        out = unflatten([lv.sealed(y) for y in outputs], out_spec)
        slopes = unflatten(found, out_spec)
        aux = tree_map(lv.sealed, aux)
    return (out, slopes, aux) if has_aux else (out, slopes)


class Pushed:
    """Tangents of a level's outputs, as the caller sees them."""

    def __init__(self, lv: Level, outputs: list[Tensor], inputs: list[Tensor]):
        self.level = lv
        self.outputs = outputs
        self.push = Push(outputs, inputs)
        lv.leaves += self.push.leaves
        smooth = [y for y in outputs if lazy.requires_grad(y)]
        self.kept = lv.kept(*smooth)
        self.linear = Linear(self._pushed)

    def __call__(self, tangents: list, strict: bool = False, lanes: int = 0) -> list[Tensor]:
        if strict:
            for t in self.push(tangents, False, lanes):
                if t is None:
                    raise RuntimeError(
                        "jvp(f, primals, tangents, strict=True): The output of f is independent "
                        "of the inputs. This is not allowed with strict=True."
                    )
        return self.linear(tangents, lanes)

    def _pushed(self, tangents: list, lanes: int) -> list[Tensor]:
        traced = any(t is not None and lazy.requires_grad(t) for t in tangents)
        create = self.level.outer and (self.kept or traced)
        found = self.push(tangents, create, lanes)
        lead = (lanes,) if lanes else ()
        out = []
        for y, t in zip(self.outputs, found, strict=True):
            out.append(zeros_for(y, lead) if t is None else t if create else t.detach())
        return out


def linearize(func, *primals):
    """(func(*primals), a function that gives the Jacobian times a tangent at the same point)."""
    flat, spec = flatten(primals)
    _check_flat("linearize", "primals", flat)
    with level("linearize") as lv:
        inputs = [lv.input(x) for x in flat]
        duals = unflatten([lv.dual(x) for x in inputs], spec)
        outputs, out_spec = tensors_of(func(*duals), "linearize")
        pushed = Pushed(lv, outputs, inputs)
        out = unflatten([lv.sealed(y) for y in outputs], out_spec)

    def push(*tangents):
        given, other = flatten(tangents)
        if other != spec:
            raise RuntimeError(
                f"Expected the tangents {other} to have the same argspec as the primals {spec}"
            )
        for k, (x, t) in enumerate(zip(flat, given, strict=True)):
            _check_like(k, x, t)
        return unflatten(pushed(given), out_spec)

    return out, push


def _check_like(k: int, x: Tensor, t: Tensor) -> None:
    if x.form.shape != t.form.shape:
        raise RuntimeError(
            f"tangent:{k} with shape {t.shape} in flattened pytree doesn't match the shape "
            f"{x.shape} of the corresponding primal."
        )
    if x.form.dtype is not t.form.dtype:
        raise RuntimeError(
            f"tangent:{k} with dtype {t.dtype} in flattened pytree doesn't match the dtype "
            f"{x.dtype} of the corresponding primal."
        )
