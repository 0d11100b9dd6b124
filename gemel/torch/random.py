"""`torch.random`: the generators of PyTorch's CPU streams, over the engine's.

`generator=None` is the process's default one; `manual_seed` seeds it. What is drawn from them is in
`drawing` and `drawing_inplace`.
"""

from __future__ import annotations

from gemel.tensor import from_array, random

from .device import check_device
from .tensor import Tensor


class Generator(random.Generator):
    """A random stream of its own: `Generator().manual_seed(0)`."""

    def __init__(self, device="cpu"):
        check_device(device)
        super().__init__()

    @property
    def device(self):
        from .device import CPU

        return CPU

    def get_state(self) -> Tensor:
        """The state as a tensor of 5056 bytes, laid out as PyTorch's."""
        return from_array(super().get_state(), Tensor)

    def set_state(self, new_state) -> Generator:
        """Go on from a state of `get_state`, Gemel's or PyTorch's."""
        super().set_state(_bytes(new_state))
        return self

    def graphsafe_get_state(self):
        raise NotImplementedError("graphsafe_get_state is not supported in this Generator")

    def graphsafe_set_state(self, state):
        raise NotImplementedError("graphsafe_set_state is not supported in this Generator")

    def get_offset(self):
        raise RuntimeError("CPU Generator does not use offset")

    def set_offset(self, offset):
        raise RuntimeError("CPU Generator does not use offset")

    def __repr__(self) -> str:
        return f"<torch._C.Generator object at {id(self):#x}>"

    def __reduce__(self):
        return restored, (self.get_state(),)

    def __deepcopy__(self, memo):
        raise TypeError("cannot pickle 'torch._C.Generator' object")


def restored(state: Tensor) -> Generator:
    """A generator of a pickle."""
    return Generator().set_state(state)


def _bytes(state):
    if isinstance(state, Tensor):
        return state.numpy()
    raise TypeError(f"expected a torch.ByteTensor, but got {type(state).__name__}")


def _made_default() -> Generator:
    """The engine's default stream, with this face's methods."""
    held = random.default_generator
    held.__class__ = Generator
    return held  # type: ignore[return-value]


default_generator = _made_default()


def stream(generator) -> random.Generator:
    """The generator of a call. TypeError for what is none."""
    if generator is None:
        return default_generator
    if not isinstance(generator, random.Generator):
        raise TypeError(
            "received an invalid combination of arguments - generator must be a torch.Generator, "
            f"not {type(generator).__name__}"
        )
    return generator


def manual_seed(seed) -> Generator:
    """Seed the default stream; returns it."""
    default_generator.manual_seed(int(seed))
    return default_generator


def seed() -> int:
    """Seed the default stream from the operating system; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default stream."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default stream's state as a tensor of bytes."""
    return default_generator.get_state()


def set_rng_state(new_state) -> None:
    """Put the default stream into a state from `get_rng_state`."""
    default_generator.set_state(new_state)


class fork_rng:
    """A block after which the default stream is as it was before."""

    def __init__(self, devices=None, enabled=True, device_type="cpu", **names):
        self.enabled = enabled

    def __enter__(self) -> None:
        self.before = default_generator.get_state() if self.enabled else None

    def __exit__(self, *error) -> None:
        if self.before is not None:
            default_generator.set_state(self.before)

    def __call__(self, function):
        from functools import wraps

        @wraps(function)
        def forked(*args, **named):
            with fork_rng(enabled=self.enabled):
                return function(*args, **named)

        return forked
