"""`functional`'s attention: scaled dot products, and several heads with their projections."""

from __future__ import annotations

import math

from gemel.graph.node import Node
from gemel.ops import attention as ops
from gemel.ops import tiled_attention
from gemel.ops.contraction import matmul
from gemel.ops.record import Call
from gemel.tensor import record2, record_again, record_n
from gemel.torch.checks import broadcast_shape, wrong_argument
from gemel.torch.dtypes import short_name
from gemel.torch.tensor import Tensor

from .dropping import dropout


# ---------- scaled dot products ----------
def _weights(attrs, query: Node, key: Node, mask: Node | None = None) -> Node:
    causal, scale, groups = attrs
    if groups > 1:
        key = ops.repeated_heads(key, groups)
    if mask is not None:
        _check_mask(query, key, mask)
    return ops.weights(query, key, mask, causal, scale)


def _check_mask(query: Node, key: Node, mask: Node) -> None:
    if mask.dtype.kind != "b" and mask.dtype is not query.dtype:
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            f"attn_mask.dtype: {short_name(mask.dtype).lower()} and  query.dtype: "
            f"{short_name(query.dtype).lower()} instead."
        )
    broadcast_shape(mask.shape, (*query.shape[:-1], key.shape[-2]))


def _attention(attrs, query: Node, key: Node, value: Node, mask: Node | None = None) -> Node:
    causal, scale, grouped, tiled = attrs
    if not grouped or query.shape[-3] == key.shape[-3]:
        broadcast_shape(query.shape[:-2], key.shape[:-2])
    if mask is not None:
        _check_mask(query, key, mask)
    scale = _scale(scale, query.shape[-1])
    return tiled_attention.attention(query, key, value, mask, causal, scale, tiled)


def _attended(attrs, share: Node, value: Node) -> Node:
    (groups,) = attrs
    return matmul(share, ops.repeated_heads(value, groups) if groups > 1 else value)


ATTENTION = Call("scaled_dot_product_attention", _attention)
WEIGHTS = Call("attention_weights", _weights)
ATTENDED = Call("attended", _attended)


def _check_attention(query: Tensor, key: Tensor, value: Tensor) -> None:
    for place, (what, given) in enumerate(
        (("query", query), ("key", key), ("value", value)), 1
    ):
        if not isinstance(given, Tensor):
            raise wrong_argument("scaled_dot_product_attention", what, place, given)
    kinds = [t.form.dtype for t in (query, key, value)]
    if any(k is not kinds[0] for k in kinds):
        names = [str(t.dtype) for t in (query, key, value)]
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{names[0]} key.dtype: {names[1]} and value.dtype: {names[2]} instead."
        )
    ranks = [t.ndim for t in (query, key, value)]
    if min(ranks) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{ranks[0]}, key.dim: {ranks[1]} and value.dim: {ranks[2]} instead."
        )


def _head_groups(query: Tensor, key: Tensor, value: Tensor, enabled: bool) -> int:
    """How many heads of the query share one of key and value."""
    if not enabled:
        return 1
    heads, shared = query.shape[-3], key.shape[-3]
    if heads % shared or value.shape[-3] != shared:
        raise RuntimeError(
            "Number of heads in key and value must divide the number of heads in query for "
            f"enable_gqa, but got query {heads}, key {shared}, value {value.shape[-3]}"
        )
    return heads // shared


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor,
                                 attn_mask: Tensor | None = None, dropout_p: float = 0.0,
                                 is_causal: bool = False, scale: float | None = None,
                                 enable_gqa: bool = False) -> Tensor:
    """softmax(scale query key^T + mask) value, for query [..., L, E], key [..., S, E] and
    value [..., S, V]; a bool mask says what takes part. Rows that see nothing give zeros."""
    operands = (query, key, value) if attn_mask is None else (query, key, value, attn_mask)
    scale = None if scale is None else float(scale)
    asked = (bool(is_causal), scale, bool(enable_gqa), tiled_attention.enabled[0])
    if not dropout_p:
        found = record_again(ATTENTION, Tensor, operands, asked)
        if found is not None:
            return found
    _check_attention(query, key, value)
    if is_causal and attn_mask is not None:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when "
            "is_causal=True"
        )
    groups = _head_groups(query, key, value, enable_gqa)
    if not dropout_p:
        return record_n(ATTENTION, Tensor, operands, asked)
    attrs = (asked[0], _scale(scale, query.form.shape[-1]), groups)
    masks = operands[3:]
    share = dropout(record_n(WEIGHTS, Tensor, (query, key, *masks), attrs), dropout_p, True)
    return record2(ATTENDED, share, value, (groups,))


def _scale(given: float | None, width: int) -> float:
    if given is not None:
        return given
    return 1 / math.sqrt(width) if width else 1.0


# ---------- several heads ----------
def _check_shapes(query: Tensor, key: Tensor, value: Tensor, padding, mask, heads: int) -> bool:
    """Is there a batch axis? AssertionError where the ranks do not go together."""
    rank = query.ndim
    if rank not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {rank}-D query tensor"
        )
    what = f"For {'batched' if rank == 3 else 'unbatched'} ({rank}-D) `query`, expected"
    if key.ndim != rank or value.ndim != rank:
        raise AssertionError(
            f"{what} `key` and `value` to be {rank}-D but found {key.ndim}-D and {value.ndim}-D "
            "tensors respectively"
        )
    if padding is not None and padding.ndim != rank - 1:
        raise AssertionError(
            f"{what} `key_padding_mask` to be `None` or {rank - 1}-D but found {padding.ndim}-D "
            "tensor instead"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise AssertionError(
            f"{what} `attn_mask` to be `None`, 2-D or 3-D but found {mask.ndim}-D tensor instead"
        )
    if rank == 2 and mask is not None and mask.ndim == 3:
        expected = (heads, query.shape[0], key.shape[0])
        if tuple(mask.shape) != expected:
            raise AssertionError(
                f"Expected `attn_mask` shape to be {expected} but got {tuple(mask.shape)}"
            )
    return rank == 3


def added_mask(mask: Tensor | None, name: str, like: Tensor) -> Tensor | None:
    """A mask of numbers to add: True becomes -inf."""
    if mask is None:
        return None
    kind = mask.form.dtype.kind
    if kind not in "bf":
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if kind == "f":
        return mask
    return like.new_zeros(mask.shape).masked_fill_(mask, -math.inf)


def _projected(query, key, value, weights, bias) -> list[Tensor]:
    """query, key and value by their own weights; bias holds the three in a row."""
    from .functional import linear

    biases = (None,) * 3 if bias is None else bias.chunk(3)
    return [
        linear(x, w, b)
        for x, w, b in zip((query, key, value), weights, biases, strict=True)
    ]


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """[L, N, E] as [N heads, L, E / heads]."""
    length, batch, width = x.shape
    return x.reshape(length, batch * heads, width // heads).transpose(0, 1)


def _merged_mask(mask, padding, batch: int, heads: int, length: int, source: int):
    """One mask to add, [N heads or 1, L or 1, S], or None."""
    if mask is not None:
        wanted = (length, source) if mask.ndim == 2 else (batch * heads, length, source)
        if tuple(mask.shape) != wanted:
            raise RuntimeError(
                f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {wanted}."
            )
        mask = mask.unsqueeze(0) if mask.ndim == 2 else mask
    if padding is None:
        return mask
    if tuple(padding.shape) != (batch, source):
        raise AssertionError(
            f"key_padding_mask.shape should be {(batch, source)}, but got {tuple(padding.shape)}"
        )
    padding = padding.reshape(batch, 1, 1, source).expand(batch, heads, 1, source)
    padding = padding.reshape(batch * heads, 1, source)
    return padding if mask is None else mask + padding


def _with_extra_keys(k, v, mask, padding, extra_k, extra_v, dim: int):
    """Keys and values with one more at the end, which no mask hides."""
    from gemel.torch.joining import cat

    from .padding import pad

    k, v = cat([k, extra_k], dim), cat([v, extra_v], dim)
    mask = None if mask is None else pad(mask, (0, 1))
    padding = None if padding is None else pad(padding, (0, 1))
    return k, v, mask, padding


def _check_sizes(query, key, value, embed: int, heads: int, apart: bool) -> None:
    if query.shape[-1] != embed:
        raise AssertionError(
            f"was expecting embedding dimension of {embed}, but got {query.shape[-1]}"
        )
    if embed // heads * heads != embed:
        raise AssertionError(f"embed_dim {embed} not divisible by num_heads {heads}")
    if apart and key.shape[:2] != value.shape[:2]:
        raise AssertionError(
            f"key's sequence and batch dims {key.shape[:2]} do not match value's "
            f"{value.shape[:2]}"
        )
    if not apart and key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
    in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None,
    bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor,
    out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None,
    average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of several heads between projections: (result [L, N, E], weights or None).

    query [L, N, E], key and value [S, N, ...], or all without N. Masks are bool (True hides) or
    numbers to add. The weights are [N, L, S], or [N, heads, L, S] where they are not averaged.
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = (t.unsqueeze(1) for t in (query, key, value))
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    if use_separate_proj_weight:
        weights = [q_proj_weight, k_proj_weight, v_proj_weight]
    else:
        if in_proj_weight is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        weights = in_proj_weight.chunk(3)
    q, k, v = _projected(query, key, value, weights, in_proj_bias)
    y, share = _attended_heads(
        q, k, v, num_heads, added_mask(key_padding_mask, "key_padding_mask", query),
        added_mask(attn_mask, "attn_mask", query), (bias_k, bias_v), (static_k, static_v),
        add_zero_attn, dropout_p if training else 0.0, need_weights,
    )  # fmt: skip
    return _output(y, share, out_proj_weight, out_proj_bias, query.shape, batched,
                   average_attn_weights)  # fmt: skip


def _attended_heads(q, k, v, heads, padding, mask, extra, static, zero, dropout_p, need_weights):
    """(result [N heads, L, E / heads], weights [N, heads, L, S] or None)."""
    length, batch, width = q.shape
    mask = _merged_mask(mask, None, batch, heads, length, k.shape[0])
    if (extra[0] is None) != (extra[1] is None):
        given, other = ("bias_k", "bias_v") if extra[1] is None else ("bias_v", "bias_k")
        raise AssertionError(f"{given} is set but {other} is None")
    if extra[0] is not None:
        more = [x.repeat(1, batch, 1) for x in extra]
        k, v, mask, padding = _with_extra_keys(k, v, mask, padding, *more, 0)
    q = _split_heads(q, heads)
    k = _split_heads(k, heads) if static[0] is None else static[0]
    v = _split_heads(v, heads) if static[1] is None else static[1]
    if zero:
        more = [x.new_zeros((batch * heads, 1, width // heads)) for x in (k, v)]
        k, v, mask, padding = _with_extra_keys(k, v, mask, padding, *more, 1)
    if padding is not None:
        hidden = _merged_mask(None, padding, batch, heads, length, k.shape[1])
        mask = hidden if mask is None else mask + hidden
    if not need_weights:
        return _without_weights(q, k, v, mask, batch, heads, dropout_p), None
    scores = (q * math.sqrt(1.0 / q.shape[-1])) @ k.transpose(-2, -1)
    share = (scores if mask is None else scores + mask).softmax(-1)
    share = dropout(share, dropout_p) if dropout_p > 0.0 else share
    return share @ v, share.reshape(batch, heads, length, k.shape[1])


def _without_weights(q, k, v, mask, batch: int, heads: int, dropout_p: float) -> Tensor:
    """The same by `scaled_dot_product_attention`."""
    apart = (batch, heads)
    shape = q.shape
    if mask is not None:
        several = mask.shape[0] != 1
        mask = mask.reshape(*apart, *mask.shape[1:]) if several else mask.unsqueeze(0)
    q, k, v = (t.reshape(*apart, *t.shape[1:]) for t in (q, k, v))
    return scaled_dot_product_attention(q, k, v, mask, dropout_p).reshape(shape)


def _output(y, share, weight, bias, shape, batched: bool, average: bool):
    """The heads joined and projected; without the batch axis where there was none."""
    from .functional import linear

    length, batch, width = shape
    y = linear(y.transpose(0, 1).reshape(length * batch, width), weight, bias)
    y = y.reshape(length, batch, y.shape[1])
    if share is not None and average:
        share = share.mean(1)
    if not batched:
        y, share = y.squeeze(1), None if share is None else share.squeeze(0)
    return y, share
