"""Sequences of different lengths: padded to one tensor, or packed step by step."""

from __future__ import annotations

from typing import NamedTuple

from gemel.tensor.ragged import padded_together
from gemel.torch.creation import tensor
from gemel.torch.tensor import Tensor


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences sorted by length, whose cells stand step after step in `data`.

    batch_sizes[t] sequences go on at step t. The indices say how the batch was sorted.
    """

    __slots__ = ()

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if batch_sizes is None:
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _with(self, data: Tensor) -> PackedSequence:
        return type(self)(data, *self[1:])

    def to(self, *args, **kwargs) -> PackedSequence:
        return self._with(self.data.to(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        return self

    def double(self) -> PackedSequence:
        return self._with(self.data.double())

    def float(self) -> PackedSequence:
        return self._with(self.data.float())

    def half(self) -> PackedSequence:
        return self._with(self.data.half())

    def long(self) -> PackedSequence:
        return self._with(self.data.long())

    def int(self) -> PackedSequence:
        return self._with(self.data.int())

    def pin_memory(self) -> PackedSequence:
        return self

    @property
    def is_cuda(self) -> bool:
        return False

    def is_pinned(self) -> bool:
        return False


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Where each position of a permutation went."""
    if permutation is None:
        return None
    places = permutation.tolist()
    found = [0] * len(places)
    for i, p in enumerate(places):
        found[p] = i
    return tensor(found)


def packed_places(batch_sizes: Tensor) -> Tensor:
    """Places of packed cells in [T * N] cells counted step by step."""
    sizes = batch_sizes.tolist()
    return tensor([t * sizes[0] + i for t, n in enumerate(sizes) for i in range(n)])


def padded(data: Tensor, batch_sizes: Tensor, value, steps: int | None = None) -> Tensor:
    """Packed cells [sum, ...] as [T, N, ...]; `value` where a sequence has ended."""
    sizes = batch_sizes.tolist()
    count = len(sizes) if steps is None else steps
    tail = tuple(data.shape[1:])
    whole = data.new_full((count * sizes[0], *tail), value)
    flat = whole.index_copy(0, packed_places(batch_sizes), data)
    return flat.reshape(count, sizes[0], *tail)


def _sorted_lengths(lengths, enforce_sorted: bool) -> tuple[list[int], list[int] | None]:
    """(lengths from the longest, order or None where they stand so)."""
    found = lengths.tolist() if isinstance(lengths, Tensor) else [int(n) for n in lengths]
    if enforce_sorted:
        return found, None
    order = sorted(range(len(found)), key=lambda i: -found[i])
    return [found[i] for i in order], order


def pack_padded_sequence(input: Tensor, lengths, batch_first: bool = False,
                         enforce_sorted: bool = True) -> PackedSequence:
    """[T, N, ...] (or [N, T, ...]) with lengths as a packed sequence."""
    counts, order = _sorted_lengths(lengths, enforce_sorted)
    x = input.transpose(0, 1) if batch_first else input
    if x.shape[1] != len(counts):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(counts)} "
            f"(batch_size={x.shape[1]})"
        )
    if counts != sorted(counts, reverse=True):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. "
            "You can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    if counts and counts[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    places = None
    if order is not None:
        places = tensor(order)
        x = x.index_select(1, places)
    sizes = [sum(1 for n in counts if n > t) for t in range(counts[0])]
    batch_sizes = tensor(sizes)
    flat = x[: counts[0]].reshape(counts[0] * len(counts), *x.shape[2:])
    return PackedSequence(flat.index_select(0, packed_places(batch_sizes)), batch_sizes, places)


def pad_packed_sequence(sequence: PackedSequence, batch_first: bool = False,
                        padding_value: float = 0.0, total_length: int | None = None):
    """(cells [T, N, ...] or [N, T, ...], lengths) of a packed sequence, in its first order."""
    sizes = sequence.batch_sizes.tolist()
    if total_length is not None and total_length < len(sizes):
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but "
            f"got total_length={total_length} and max sequence length being {len(sizes)}"
        )
    x = padded(sequence.data, sequence.batch_sizes, padding_value, total_length)
    lengths = tensor([sum(1 for n in sizes if n > i) for i in range(sizes[0])])
    if sequence.unsorted_indices is not None:
        x = x.index_select(1, sequence.unsorted_indices)
        lengths = lengths[sequence.unsorted_indices]
    return (x.transpose(0, 1) if batch_first else x), lengths


def pad_sequence(sequences, batch_first: bool = False, padding_value: float = 0.0,
                 padding_side: str = "right") -> Tensor:
    """Tensors [T_i, ...] as one [T, N, ...] or [N, T, ...]."""
    from gemel.torch.joining import stack

    from ..functional import pad

    sequences = list(sequences)
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"padding_side must be 'left' or 'right', got {padding_side!r}")
    axis = 0 if batch_first else 1
    known = padded_together(sequences, axis, padding_value, padding_side == "left")
    if known is not None:
        return known
    steps = max(s.shape[0] for s in sequences)
    rows = []
    for s in sequences:
        missing = steps - s.shape[0]
        ends = (missing, 0) if padding_side == "left" else (0, missing)
        rows.append(pad(s, (0, 0) * (s.ndim - 1) + ends, value=padding_value))
    return stack(rows, axis)


def pack_sequence(sequences, enforce_sorted: bool = True) -> PackedSequence:
    """Tensors [T_i, ...] as a packed sequence."""
    lengths = [s.shape[0] for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False):
    """The sequences of one padded tensor, each with its own length."""
    x = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[:n] for row, n in zip(x, lengths.tolist(), strict=True)]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed sequence."""
    x, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(x, lengths, batch_first=True)
