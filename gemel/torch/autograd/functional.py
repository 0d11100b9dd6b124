"""`torch.autograd.functional`: derivatives of functions instead of tensors."""

from __future__ import annotations

from gemel import tensor as lazy

from ..func.derivatives import Pushed, pulled
from ..func.jacobians import columns, rows
from ..tensor import Tensor
from .levels import Level, level


# ---------- arguments ----------
def _tuple(given, what: str, name: str) -> tuple[Tensor, ...]:
    several = given if isinstance(given, tuple) else (given,)
    for k, x in enumerate(several):
        if isinstance(x, Tensor):
            continue
        if several is given:
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the "
                f"value at index {k} has type {type(x)}."
            )
        raise TypeError(
            f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the "
            f"given {what} has type {type(x)}."
        )
    return several


class _Called:
    """A function called on inputs of its own.

    inputs, outputs  flat;  single: is the output one tensor?"""

    def __init__(self, lv: Level, func, inputs, create: bool, name: str):
        self.name = name
        self.tupled = isinstance(inputs, tuple)
        given = _tuple(inputs, "inputs", name)
        self.inputs = [lv.input(x) if create else lv.leaf(x) for x in given]
        result = func(*self.inputs)
        self.single = not isinstance(result, tuple)
        self.outputs = list(_tuple(result, "outputs", name))

    def strictly(self, strict: bool) -> None:
        """RuntimeError for an output without a history, where that is not allowed."""
        for k, y in enumerate(self.outputs):
            if strict and not lazy.requires_grad(y):
                raise RuntimeError(
                    f"Output {k} of the user-provided function does not require gradients. The "
                    "outputs must be computed in a differentiable manner from the input when "
                    "running in strict mode."
                )

    def used(self, strict: bool) -> None:
        """The same for an input that an output does not depend on."""
        for i, y in enumerate(self.outputs if strict else ()):
            found = lazy.grad([y], self.inputs, [_ones(y)], True, False, True)
            for j, g in enumerate(found):
                if g is None:
                    raise RuntimeError(
                        f"Output {i} of the user-provided function is independent of input {j}. "
                        "This is not allowed in strict mode."
                    )

    def out(self, tensors):
        """Values of the outputs' structure."""
        return tensors[0] if self.single else tuple(tensors)

    def like_inputs(self, tensors):
        return tuple(tensors) if self.tupled else tensors[0]


def _ones(y: Tensor) -> Tensor:
    return lazy.fill(y.form.shape, 1, y.form.dtype, Tensor)


def _vector(v, like: list[Tensor], what: str, name: str) -> list[Tensor]:
    """v as tensors like the given ones; ones where it may be left out."""
    if v is None:
        if len(like) != 1 or like[0].form.size != 1:
            raise RuntimeError(f"The vector v can only be None if {what} a single Tensor with a "
                               "single element.")  # fmt: skip
        return [_ones(like[0])]
    found = list(_tuple(v, "v", name))
    if len(found) != len(like):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(like)} but got {len(found)}."
        )
    for k, (a, b) in enumerate(zip(found, like, strict=True)):
        if a.form.shape != b.form.shape:
            where = f"Entry {k} in v" if len(found) > 1 else "v"
            raise RuntimeError(f"{where} has invalid size: should be {b.shape} but got {a.shape}.")
    return found


def _finished(tensors, create: bool) -> list[Tensor]:
    return list(tensors) if create else [t.detach() for t in tensors]


_OUTPUT = "the user-provided function returns"
_INPUT = "the input to the user-provided function is"


# ---------- products ----------
def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), the product of v with its Jacobian)."""
    with level("vjp") as lv:
        at = _Called(lv, func, inputs, create_graph, "vjp")
        at.strictly(strict)
        weights = _vector(v, at.outputs, _OUTPUT, "vjp")
        at.used(strict)
        found = pulled(at.outputs, at.inputs, weights, create_graph)
        outputs = _finished(at.outputs, create_graph)
        return at.out(outputs), at.like_inputs(_finished(found, create_graph))


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), the product of its Jacobian with v)."""
    with level("jvp") as lv:
        at = _Called(lv, func, inputs, create_graph, "jvp")
        at.strictly(strict)
        tangents = _vector(v, at.inputs, _INPUT, "jvp")
        at.used(strict)
        lv.outer = create_graph
        found = Pushed(lv, at.outputs, at.inputs)(tangents)
        outputs = _finished(at.outputs, create_graph)
        return at.out(outputs), at.out(_finished(found, create_graph))


def _scalar(at: _Called) -> Tensor:
    if not at.single:
        raise RuntimeError(f"The function given to {at.name} should return a single Tensor")
    if at.outputs[0].form.size != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {at.name} should contain a single "
            "element"
        )
    return at.outputs[0]


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), the product of v with the matrix of second derivatives)."""
    with level("vhp") as lv:
        at = _Called(lv, func, inputs, create_graph, "vhp")
        y = _scalar(at)
        at.strictly(strict)
        weights = _vector(v, at.inputs, _INPUT, "vhp")
        at.used(strict)
        slopes = pulled([y], at.inputs, [None], True)
        found = pulled(slopes, at.inputs, weights, create_graph)
        (output,) = _finished([y], create_graph)
        return output, at.like_inputs(_finished(found, create_graph))


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), the product of the matrix of second derivatives with v)."""
    with level("hvp") as lv:
        at = _Called(lv, func, inputs, create_graph, "hvp")
        y = _scalar(at)
        at.strictly(strict)
        tangents = _vector(v, at.inputs, _INPUT, "hvp")
        at.used(strict)
        slopes = pulled([y], at.inputs, [None], True)
        lv.outer = create_graph
        found = Pushed(lv, slopes, at.inputs)(tangents)
        (output,) = _finished([y], create_graph)
        return output, at.like_inputs(_finished(found, create_graph))


# ---------- matrices ----------
_STRATEGIES = (
    'Expected strategy to be either "reverse-mode" or "forward-mode". Hint: If your function has '
    'more outputs than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to '
    'use "reverse-mode".'
)


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False,
             strategy="reverse-mode"):  # fmt: skip
    """d func(inputs) / d inputs: for each output and each input a tensor of the output's shape and
    then the input's. All rows are computed at once, with vectorize or without."""
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(_STRATEGIES)
    if strategy == "forward-mode" and create_graph:
        raise NotImplementedError(
            "torch.autograd.functional.jacobian: `create_graph=True` and "
            '`strategy="forward-mode"` are not supported together (yet). Please either set '
            '`create_graph=False` or `strategy="reverse-mode"`.'
        )
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(
            'torch.autograd.functional.jacobian: strategy="forward-mode" is only supported with '
            "vectorize=True"
        )
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not "
            "supported together. Please either set `strict=False` or `vectorize=False`."
        )
    with level("jacobian") as lv:
        at = _Called(lv, func, inputs, create_graph, "jacobian")
        at.strictly(strict)
        at.used(strict)
        if strategy == "forward-mode":
            lv.outer = create_graph
            pushed = Pushed(lv, at.outputs, at.inputs)
            found = [columns(pushed, k) for k in range(len(at.inputs))]
            made = [list(row) for row in zip(*found, strict=True)]
        else:
            made = [rows(y, at.inputs, create_graph, None) for y in at.outputs]
        return at.out([at.like_inputs(_finished(row, create_graph)) for row in made])


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False,
            outer_jacobian_strategy="reverse-mode"):  # fmt: skip
    """The second derivatives of a function with one number as result: for each pair of inputs a
    tensor of both their shapes."""
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(_STRATEGIES)
    with level("hessian") as lv:
        at = _Called(lv, func, inputs, create_graph, "hessian")
        y = _scalar(at)
        at.strictly(strict)
        at.used(strict)
        slopes = pulled([y], at.inputs, [None], True)
        made = [rows(g, at.inputs, create_graph, None) for g in slopes]
        return at.like_inputs([at.like_inputs(_finished(row, create_graph)) for row in made])
