"""`functional`'s tables: embedding, bags of embeddings, one-hot vectors."""

from __future__ import annotations

from gemel.graph.errors import Fault
from gemel.graph.form import int64
from gemel.graph.node import Node
from gemel.ops import lookup, losses
from gemel.ops.elementwise import cast, check_range
from gemel.ops.movement import arange, narrow, reshape
from gemel.ops.record import Call
from gemel.tensor import no_grad, record1, record2, record_again, record_n, write
from gemel.torch.checks import wrong_argument
from gemel.torch.dtypes import short_name
from gemel.torch.tensor import Tensor

from .operands import present, split

_ROW_FAULT = Fault(IndexError, "index out of range in self")
_CLASS_FAULT = Fault(RuntimeError, "Class values must be smaller than num_classes, not {value}.")
_LABEL_FAULT = Fault(RuntimeError, "Class values must be non-negative, not {value}.")
_OFFSET_FAULT = Fault(
    RuntimeError,
    "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
    "position 0. However, got {value}",
)
_END_FAULT = Fault(
    RuntimeError,
    "offsets[-1] can not be greater than input's length, but got offsets[-1] of {value}",
)
MODES = ("sum", "mean", "max")


def _check_index(name: str, index: Node) -> None:
    if index.dtype.name not in ("int64", "int32"):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got torch.{short_name(index.dtype)}Tensor instead (while checking "
            f"arguments for {name})"
        )


def _embedding(attrs, index: Node, weight: Node) -> Node:
    padding, by_frequency = attrs
    _check_index("embedding", index)
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    at = check_range(index, 0, weight.shape[0], _ROW_FAULT)
    return lookup.rows(weight, at, padding, by_frequency)


def _shortened(attrs, weight: Node, index: Node) -> Node:
    at = check_range(index, 0, weight.shape[0], _ROW_FAULT)
    return lookup.shortened(weight, at, *attrs)


def _offsets(offsets: Node, count: int, last: bool) -> Node:
    """The checked starts of the bags."""
    offsets = cast(offsets, int64)
    first = check_range(narrow(offsets, 0, 0, 1), 0, 1, _OFFSET_FAULT)
    offsets = check_range(offsets, 0, count + 1, _END_FAULT) + first
    return narrow(offsets, 0, 0, offsets.shape[0] - 1) if last else offsets


def _embedding_bag(attrs, index: Node, weight: Node, *rest: Node) -> Node:
    mode, padding, by_frequency, last, flags = attrs
    offsets, factors = split(rest, flags)
    _check_index("embedding_bag", index)
    if index.ndim == 2:
        bags, width = index.shape
        starts = arange(bags, int64) * width
        index = reshape(index, (bags * width,))
        factors = factors if factors is None else reshape(factors, index.shape)
    else:
        starts = _offsets(offsets, index.shape[0], last)
    at = check_range(index, 0, weight.shape[0], _ROW_FAULT)
    values = lookup.rows(weight, at, padding, by_frequency)
    bag = lookup.segments(starts, index.shape[0])
    kept = lookup.kept_entries(at, padding, weight.dtype)
    if mode == "max":
        return lookup.bag_maxima(values, bag, starts, kept)
    if mode == "mean":
        return lookup.bag_means(values, bag, starts.shape[0], kept)
    share = kept if factors is None else kept * factors
    return lookup.bag_totals(values * reshape(share, (share.shape[0], 1)), bag, starts.shape[0])


def _one_hot(attrs, labels: Node) -> Node:
    (classes,) = attrs
    labels = check_range(labels, 0, 1 << 62, _LABEL_FAULT)
    inside = check_range(labels, 0, classes, _CLASS_FAULT)
    return cast(losses.one_hot(inside, classes, labels.ndim), int64)


EMBEDDING = Call("embedding", _embedding)
EMBEDDING_BAG = Call("embedding_bag", _embedding_bag)
SHORTENED = Call("embedding_renorm", _shortened, False)
ONE_HOT = Call("one_hot", _one_hot)


def _padding(padding_idx: int | None, weight: Tensor) -> int | None:
    """The padding row, counted from 0."""
    if padding_idx is None:
        return None
    rows = weight.form.shape[0]
    if not -rows <= padding_idx < rows:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx % rows


def _shorten(weight: Tensor, index: Tensor, most: float | None, order: float) -> None:
    """Rows that are looked up get a norm of at most `most`, in place and without history."""
    if most is None:
        return
    with no_grad():
        write(weight, record2(SHORTENED, weight, index, (float(most), float(order))))


def _check_tensors(name: str, input, weight) -> None:
    for what, place, given in (("indices", 2, input), ("weight", 1, weight)):
        if not isinstance(given, Tensor):
            raise wrong_argument(name, what, place, given)


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None,
              max_norm: float | None = None, norm_type: float = 2.0,
              scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """Rows of weight [V, D] at the indices: [..., D]. No gradient flows to the padding row.

    max_norm: rows that are looked up are first scaled down to this norm, in place.
    scale_grad_by_freq: a row's gradient is divided by how often it was looked up.
    """
    if padding_idx is None and max_norm is None and not sparse:
        attrs = (None, bool(scale_grad_by_freq))
        found = record_again(EMBEDDING, Tensor, (input, weight), attrs)
        if found is not None:
            return found
    if sparse:
        raise NotImplementedError("embedding: sparse gradients are not supported")
    _check_tensors("embedding", input, weight)
    padding = _padding(padding_idx, weight) if padding_idx is not None else None
    if max_norm is not None:
        _shorten(weight, input, max_norm, norm_type)
    return record2(EMBEDDING, input, weight, (padding, bool(scale_grad_by_freq)))


def _check_bags(input: Tensor, offsets, factors, mode: str) -> None:
    if factors is not None and factors.form.shape != input.form.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({factors.shape}) is not None, then it must "
            f"have the same shape as the input ({input.shape})"
        )
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                f"of fixed length sequences. However, found offsets of type {type(offsets)}"
            )
    elif input.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension "
                         f"{input.ndim}")
    elif offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    elif offsets.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    if mode not in MODES:
        raise ValueError("mode has to be one of sum, mean or max")


def embedding_bag(input: Tensor, weight: Tensor, offsets: Tensor | None = None,
                  max_norm: float | None = None, norm_type: float = 2,
                  scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
                  per_sample_weights: Tensor | None = None, include_last_offset: bool = False,
                  padding_idx: int | None = None) -> Tensor:
    """Sums, means or maxima of the rows of weight [V, D] in bags of indices: [bags, D].

    input [bags, n], or [n] with the bags' `offsets`; the padding row does not count. An empty bag
    gives zeros.
    """
    _check_tensors("embedding_bag", input, weight)
    _check_bags(input, offsets, per_sample_weights, mode)
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if sparse:
        raise NotImplementedError("embedding_bag: sparse gradients are not supported")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}'). Please open a feature request on GitHub."
        )
    if per_sample_weights is not None and per_sample_weights.form.dtype is not weight.form.dtype:
        raise RuntimeError(
            f"Expected per_sample_weights to have the same type as weight, got "
            f"{short_name(per_sample_weights.form.dtype)}"
        )
    padding = _padding(padding_idx, weight)
    _shorten(weight, input, max_norm, norm_type)
    given, flags = present(offsets, per_sample_weights)
    attrs = (mode, padding, bool(scale_grad_by_freq), bool(include_last_offset), flags)
    return record_n(EMBEDDING_BAG, Tensor, [input, weight, *given], attrs)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 zeros with a one at each label; without `num_classes` the labels are looked at."""
    if tensor.form.dtype.name != "int64":
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if num_classes == -1:
        if not tensor.numel():
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        num_classes = int(tensor.max().item()) + 1
    elif num_classes < 1 and not tensor.numel():
        raise RuntimeError("Class values must be non-negative: num_classes should be positive")
    return record1(ONE_HOT, tensor, (num_classes,))
