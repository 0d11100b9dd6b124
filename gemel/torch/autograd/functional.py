"""`torch.autograd.functional`: derivatives of functions instead of tensors."""

from __future__ import annotations

from ..creation import zeros
from ..joining import stack
from ..tensor import Tensor
from .gradients import grad


def _inputs(inputs) -> tuple:
    return inputs if isinstance(inputs, tuple) else (inputs,)


def _leaves(inputs, create_graph: bool) -> tuple[Tensor, ...]:
    if create_graph:
        return tuple(x if x.requires_grad else x.detach().requires_grad_() for x in inputs)
    return tuple(x.detach().clone().requires_grad_() for x in inputs)


def jacobian(func, inputs, create_graph=False, strict=False):
    """d func(inputs) / d inputs: for each input a tensor of the output's shape and then the
    input's. `func` gives one tensor."""
    leaves = _leaves(_inputs(inputs), create_graph)
    output = func(*leaves)
    rows: list[list] = [[] for _ in leaves]
    for one in output.reshape(-1).unbind():
        found = grad(one, leaves, retain_graph=True, create_graph=create_graph, allow_unused=True)
        for row, x, g in zip(rows, leaves, found, strict=True):
            row.append(zeros(x.shape, dtype=x.dtype) if g is None else g)
    made = tuple(
        stack(row).reshape(output.shape + x.shape) for row, x in zip(rows, leaves, strict=True)
    )
    return made if isinstance(inputs, tuple) else made[0]


def hessian(func, inputs, create_graph=False, strict=False):
    """The second derivatives of a function with one number as result, of one input."""
    if isinstance(inputs, tuple):
        raise NotImplementedError("hessian of several inputs is not there yet")

    def slope(x):
        return grad(func(x), x, create_graph=True)[0]

    return jacobian(slope, inputs, create_graph)


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), the product of v with its Jacobian)."""
    leaves = _leaves(_inputs(inputs), create_graph)
    output = func(*leaves)
    found = grad(output, leaves, v, create_graph=create_graph, materialize_grads=True)
    return output, found if isinstance(inputs, tuple) else found[0]


def _slope_by_differences(func, inputs: tuple, place: int, k: int, eps: float) -> Tensor:
    """The change of the output with cell k of one input, in the middle."""
    results = []
    for side in (eps, -eps):
        moved = list(inputs)
        cells = moved[place].detach().clone()
        cells.view(-1)[k] += side
        moved[place] = cells
        results.append(func(*moved).detach())
    return (results[0] - results[1]) / (2 * eps)


def gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True) -> bool:
    """Compare the gradients of func (one tensor as result) with differences; inputs should be
    float64. RuntimeError where they differ, or False without raise_exception."""
    inputs = _inputs(inputs)
    watched = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    for place in watched:

        def of_one(x, place=place):
            return func(*inputs[:place], x, *inputs[place + 1 :])

        exact = jacobian(of_one, inputs[place]).reshape(-1, inputs[place].numel())
        for k in range(inputs[place].numel()):
            slope = _slope_by_differences(func, inputs, place, k, eps).reshape(-1)
            if not exact[:, k].allclose(slope, rtol, atol):
                if not raise_exception:
                    return False
                raise RuntimeError(
                    f"Jacobian mismatch for output 0 with respect to input {place},\n"
                    f"numerical:{slope}\nanalytical:{exact[:, k]}"
                )
    return True
