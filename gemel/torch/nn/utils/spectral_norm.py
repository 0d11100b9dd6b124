"""Weights over their spectral norm (Miyato et al. 2018), recomputed before each forward."""

from __future__ import annotations

import gemel.torch as torch
from gemel.tensor import no_grad
from gemel.torch.tensor import Tensor

from .. import functional as F
from ..convolution_layers import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..module import Module
from ..parameter import Parameter
from .weight_norm import _hooks


class SpectralNorm:
    """The hook that makes the weight from `name`_orig, and follows its singular vectors in the
    buffers `name`_u and `name`_v."""

    def __init__(self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0,
                 eps: float = 1e-12):  # fmt: skip
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.dim = dim
        self.n_power_iterations = n_power_iterations
        self.eps = eps

    def reshape_weight_to_matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        weight = getattr(module, self.name + "_orig")
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            self._follow(module, matrix)
        u, v = (getattr(module, f"{self.name}_{end}").clone() for end in "uv")
        return weight / torch.dot(u, torch.mv(matrix, v))

    def _follow(self, module: Module, matrix: Tensor) -> None:
        u = getattr(module, self.name + "_u")
        v = getattr(module, self.name + "_v")
        with no_grad():
            for _ in range(self.n_power_iterations):
                v.copy_(F.normalize(torch.mv(matrix.t(), u), dim=0, eps=self.eps))
                u.copy_(F.normalize(torch.mv(matrix, v), dim=0, eps=self.eps))

    def remove(self, module: Module) -> None:
        with no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        delattr(module, self.name)
        for end in ("_u", "_v", "_orig"):
            delattr(module, self.name + end)
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module: Module, inputs) -> None:
        made = self.compute_weight(module, do_power_iteration=module.training)
        object.__setattr__(module, self.name, made)

    @staticmethod
    def apply(
        module: Module, name: str, n_power_iterations: int, dim: int, eps: float
    ) -> SpectralNorm:
        for hook, _ in _hooks(module).values():
            if isinstance(hook, SpectralNorm) and hook.name == name:
                raise RuntimeError(
                    f"Cannot register two spectral_norm hooks on the same parameter {name}"
                )
        made = SpectralNorm(name, n_power_iterations, dim, eps)
        weight = module._parameters[name]
        if weight is None:
            raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
        matrix = made.reshape_weight_to_matrix(weight.detach())
        u, v = (
            F.normalize(matrix.new_empty(n).normal_(0, 1), dim=0, eps=eps) for n in matrix.shape
        )
        del module._parameters[name]
        module.register_parameter(name + "_orig", weight)
        object.__setattr__(module, name, weight.detach())
        module.register_buffer(name + "_u", u)
        module.register_buffer(name + "_v", v)
        module.register_forward_pre_hook(made)
        return made


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1,
                  eps: float = 1e-12, dim: int | None = None) -> Module:  # fmt: skip
    """Divide the parameter `name` by its largest singular value before each forward. dim: the
    matrix's rows; 0, and 1 for transposed convolutions."""
    if dim is None:
        transposed = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
        dim = 1 if isinstance(module, transposed) else 0
    SpectralNorm.apply(module, name, n_power_iterations, dim, eps)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a parameter of its own again."""
    for key, (hook, _) in _hooks(module).items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            hook.remove(module)
            del _hooks(module)[key]
            return module
    raise ValueError(f"spectral_norm of '{name}' not found in {module}")
