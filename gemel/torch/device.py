"""`torch.device`: the CPU is the one device there is."""

from __future__ import annotations


class device:
    """A place for tensors. `device('cpu')`, `device('cpu:0')`, `device('cpu', 0)`.

    RuntimeError for a kind of device that PyTorch does not know and for those Gemel has none of.
    """

    __slots__ = ("type", "index")

    def __init__(self, type, index: int | None = None):
        if isinstance(type, device):
            type, index = type.type, type.index
        name, _, number = str(type).partition(":")
        if number:
            if index is not None:
                raise RuntimeError(
                    "type (string) must not include an index because index was "
                    f"passed explicitly: {type}"
                )
            if not number.isdigit():
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        _check_kind(name, type)
        self.type = name
        self.index = index

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self):
        return device, (self.type, self.index)

    def __enter__(self) -> device:
        return self

    def __exit__(self, *error) -> None:
        return None


_ABSENT = ("cuda", "mps", "xpu", "meta", "hip", "mtia", "vulkan", "xla", "hpu", "privateuseone")


def _check_kind(name: str, given) -> None:
    if name == "cpu":
        return
    if name in _ABSENT:
        raise RuntimeError(f"Gemel has no '{name}' device on this machine; use device 'cpu'")
    kinds = ", ".join(("cpu", *_ABSENT))
    raise RuntimeError(f"Expected one of {kinds} device type at start of device string: {given}")


CPU = device("cpu")


def check_device(given) -> None:
    """Accept None, 'cpu' and CPU devices; RuntimeError for others."""
    if given is not None and given is not CPU and given.__class__ is not device:
        device(given)
