"""Pruning: weights with a mask, `torch.nn.utils.prune`.

The parameter `name` moves to `name`_orig, its mask is the buffer `name`_mask, and the product is
computed before each forward.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from numbers import Integral, Real

import gemel.torch as torch
from gemel.torch.tensor import Tensor

from ..module import Module
from .weight_norm import _hooks


class BasePruningMethod(ABC):
    """A rule that says which values stay, and the hook that applies its mask.

    PRUNING_TYPE: 'unstructured' (single values), 'structured' (whole slices), or 'global'.
    """

    PRUNING_TYPE = "unstructured"
    _tensor_name: str

    def __call__(self, module: Module, inputs) -> None:
        object.__setattr__(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask for t: ones where values stay. default_mask: that of earlier rounds."""

    def apply_mask(self, module: Module) -> Tensor:
        name = self._tensor_name
        original = getattr(module, name + "_orig")
        return getattr(module, name + "_mask").to(original.dtype) * original

    @classmethod
    def apply(cls, module: Module, name: str, *args, importance_scores=None, **kwargs):
        """Prune the parameter `name` by this rule, on top of what was pruned before."""
        older = _take_hook(module, name)
        if older is None:
            original = getattr(module, name)
            default = torch.ones_like(original)
        else:
            original = getattr(module, name + "_orig")
            default = getattr(module, name + "_mask").detach().clone()
        scores = original if importance_scores is None else importance_scores
        if scores.shape != original.shape:
            raise ValueError(
                f"importance_scores should have the same shape as parameter {name} of {module}"
            )
        method = cls(*args, **kwargs)
        method._tensor_name = name
        if older is not None:
            container = older if isinstance(older, PruningContainer) else PruningContainer(older)
            container.add_pruning_method(method)
            method = container
        mask = method.compute_mask(scores.detach(), default)
        if older is None:
            del module._parameters[name]
            module.register_parameter(name + "_orig", original)
        module.register_buffer(name + "_mask", mask)
        object.__setattr__(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Tensor, default_mask=None, importance_scores=None) -> Tensor:
        """t with this rule's mask."""
        scores = t if importance_scores is None else importance_scores
        default = torch.ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, default)

    def remove(self, module: Module) -> None:
        """Make the pruned values the parameter for good."""
        name = self._tensor_name
        pruned = self.apply_mask(module).detach()
        original = getattr(module, name + "_orig")
        original.data = pruned
        delattr(module, name)
        delattr(module, name + "_orig")
        delattr(module, name + "_mask")
        module.register_parameter(name, original)


def _take_hook(module: Module, name: str) -> BasePruningMethod | None:
    """The pruning hook of a tensor, which is no hook of the module any more."""
    table = _hooks(module)
    for key, (hook, _) in list(table.items()):
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            del table[key]
            return hook
    return None


class PruningContainer(BasePruningMethod):
    """Several rules, each for what the earlier ones left."""

    def __init__(self, *methods: BasePruningMethod):
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        for method in methods:
            self._tensor_name = method._tensor_name
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod | None) -> None:
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method._tensor_name != self._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self):
        return iter(self._pruning_methods)

    def __getitem__(self, at):
        return self._pruning_methods[at]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The newest rule looks at what is left: at its values, or at slices with something."""
        method = self._pruning_methods[-1]
        mask = default_mask.to(t.dtype)
        if method.PRUNING_TYPE != "structured":
            left = mask == 1
            mask = mask.clone()
            mask[left] = method.compute_mask(t[left], torch.ones_like(t[left])).to(t.dtype)
            return mask
        dim = method.dim % t.ndim
        rest = [d for d in range(t.ndim) if d != dim]
        left = (mask.sum(rest) != 0).nonzero().flatten()
        own = method.compute_mask(t.index_select(dim, left), mask.index_select(dim, left))
        return mask.index_copy(dim, left, own.to(t.dtype))


# ---------- how much ----------
def _check_amount(amount) -> None:
    if not isinstance(amount, Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    whole = isinstance(amount, Integral)
    if whole and amount < 0 or not whole and not 0.0 <= float(amount) <= 1.0:
        raise ValueError(
            f"amount={amount} should either be a float in the range [0, 1] or a non-negative "
            "integer"
        )


def _count(amount, size: int) -> int:
    """How many of `size` go. ValueError where there are fewer."""
    if not isinstance(amount, Integral):
        return round(amount * size)
    if amount > size:
        raise ValueError(
            f"amount={amount} should be smaller than the number of parameters to prune={size}"
        )
    return int(amount)


def _without(mask: Tensor, places: Tensor) -> Tensor:
    """A flat copy of a mask, zero at the places, in its shape."""
    return mask.reshape(-1).index_fill(0, places, 0).reshape(mask.shape)


# ---------- rules ----------
class Identity(BasePruningMethod):
    """Prunes nothing."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """Values drawn at random go."""

    def __init__(self, amount):
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _count(self.amount, t.nelement())
        if not count:
            return default_mask.clone()
        drawn = torch.rand_like(t).view(-1)
        return _without(default_mask, torch.topk(drawn, k=count).indices)


class L1Unstructured(BasePruningMethod):
    """The smallest values go."""

    def __init__(self, amount):
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _count(self.amount, t.nelement())
        if not count:
            return default_mask.clone()
        smallest = torch.topk(t.abs().view(-1), k=count, largest=False).indices
        return _without(default_mask, smallest)


class _Structured(BasePruningMethod):
    """Whole slices along a dimension go."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount, dim: int = -1):
        _check_amount(amount)
        self.amount = amount
        self.dim = dim

    def _last(self, t: Tensor, count: int) -> Tensor:
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if t.ndim <= 1:
            raise ValueError(
                "Structured pruning can only be applied to multidimensional tensors. Found tensor "
                f"of shape {t.shape} with {t.ndim} dims"
            )
        if self.dim >= t.ndim:
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        count = _count(self.amount, t.shape[self.dim])
        if not count:
            return default_mask
        return default_mask * self._kept(t, count)

    def _kept(self, t: Tensor, count: int) -> Tensor:
        """Zeros in the slices that go, in the shape of t."""
        gone = self._last(t, count)
        return torch.ones_like(t).index_fill(self.dim, gone, 0)


class RandomStructured(_Structured):
    """Slices drawn at random go."""

    def _last(self, t: Tensor, count: int) -> Tensor:
        drawn = torch.rand(t.shape[self.dim])
        return torch.topk(drawn, k=count, largest=False).indices


class LnStructured(_Structured):
    """The slices of the smallest norms go."""

    def __init__(self, amount, n, dim: int = -1):
        super().__init__(amount, dim)
        self.n = n

    def _last(self, t: Tensor, count: int) -> Tensor:
        rest = [d for d in range(t.ndim) if d != self.dim % t.ndim]
        size = torch.norm(t, p=self.n, dim=rest)
        return torch.topk(size, k=count, largest=False).indices


class CustomFromMask(BasePruningMethod):
    """A given mask."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor):
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask * self.mask.to(default_mask.dtype)


# ---------- functions ----------
def identity(module: Module, name: str) -> Module:
    """Put a mask of ones on the parameter."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount) -> Module:
    """Prune values at random: a share, or a number of them."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount, importance_scores=None) -> Module:
    """Prune the values of the smallest magnitude (or score)."""
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount, dim: int) -> Module:
    """Prune slices along dim at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module: Module, name: str, amount, n, dim: int, importance_scores=None) -> Module:
    """Prune the slices along dim of the smallest n-norm."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune by a mask."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable, pruning_method: type, importance_scores: dict | None = None, **kwargs
) -> None:
    """Prune several parameters, (module, name) each, by one rule over all of their values."""
    pairs = list(parameters)
    scores = importance_scores or {}
    flat = [scores.get((m, n), getattr(m, n)).detach().reshape(-1) for m, n in pairs]
    masks = [getattr(m, n + "_mask", None) for m, n in pairs]
    default = [
        torch.ones_like(f) if m is None else m.reshape(-1).to(f.dtype)
        for f, m in zip(flat, masks, strict=True)
    ]
    rule = PruningContainer()
    rule._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {method.PRUNING_TYPE}"
        )
    rule.add_pruning_method(method)
    mask = rule.compute_mask(torch.cat(flat), torch.cat(default))
    parts = mask.split([len(f) for f in flat])
    for (module, name), part in zip(pairs, parts, strict=True):
        custom_from_mask(module, name, part.reshape(getattr(module, name).shape))


def remove(module: Module, name: str) -> Module:
    """Make what is left the parameter, without a mask."""
    hook = _take_hook(module, name)
    if hook is None:
        raise ValueError(
            f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
        )
    hook.remove(module)
    return module


def is_pruned(module: Module) -> bool:
    """Has the module, or one inside of it, a pruned parameter?"""
    return any(
        isinstance(hook, BasePruningMethod)
        for inner in module.modules()
        for hook, _ in _hooks(inner).values()
    )
