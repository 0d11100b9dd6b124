"""Weights as length times direction (Salimans and Kingma 2016), recomputed before each forward."""

from __future__ import annotations

from gemel.torch.tensor import Tensor

from ..module import Module
from ..parameter import Parameter


def norm_except_dim(v: Tensor, pow: int = 2, dim: int | None = 0) -> Tensor:
    """The norms over all dimensions but one, which stay as dimensions of one cell; with `dim` -1 or
    None one norm of everything."""
    if dim is None or dim == -1:
        return v.norm(pow)
    rest = [d for d in range(v.ndim) if d != dim % v.ndim]
    return v.norm(pow, rest, keepdim=True) if rest else v.abs()


class WeightNorm:
    """The hook that makes the weight of its two parameters."""

    def __init__(self, name: str, dim: int | None):
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Tensor:
        length = getattr(module, self.name + "_g")
        direction = getattr(module, self.name + "_v")
        return direction * (length / norm_except_dim(direction, 2, self.dim))

    @staticmethod
    def apply(module: Module, name: str, dim: int | None) -> WeightNorm:
        for hook, _ in _hooks(module).values():
            if isinstance(hook, WeightNorm) and hook.name == name:
                raise RuntimeError(
                    f"Cannot register two weight_norm hooks on the same parameter {name}"
                )
        made = WeightNorm(name, dim)
        weight = getattr(module, name)
        del module._parameters[name]
        length = norm_except_dim(weight, 2, made.dim).detach()
        module.register_parameter(name + "_g", Parameter(length))
        module.register_parameter(name + "_v", Parameter(weight.detach()))
        object.__setattr__(module, name, made.compute_weight(module))
        module.register_forward_pre_hook(made)
        return made

    def remove(self, module: Module) -> None:
        weight = self.compute_weight(module).detach()
        delattr(module, self.name)
        del module._parameters[self.name + "_g"]
        del module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight))

    def __call__(self, module: Module, inputs) -> None:
        object.__setattr__(module, self.name, self.compute_weight(module))


def _hooks(module: Module) -> dict:
    """Number -> (hook, takes keywords?) of what runs before the module's forward."""
    tables = module._hooks
    return {} if tables is None else tables.before


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Put `name`_g (lengths) and `name`_v (directions) in the place of the parameter `name`."""
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight one parameter again."""
    for key, (hook, _) in _hooks(module).items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del _hooks(module)[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
