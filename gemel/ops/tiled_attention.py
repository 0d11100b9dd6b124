"""Attention as one primitive, whose kernel goes through the scores block by block.

Role: a result and, per query, the level that its scores are compared with and the logarithm of the
sum of exponentials; from these the gradients (Dao et al. 2022, FlashAttention). Input: query
[..., H, L, E], key [..., G, S, E], value [..., G, S, V], perhaps a mask [..., H, L, S]; H is a
multiple of G. Several results are one value, per batch a row of numbers: of the forward pass the
result [L, H, V], then levels and logarithms, [H, L] each; of the backward pass the gradients of
query [L, H, E], key [S, G, E] and value [S, G, V].

Invariant: what it computes is defined by composites, and gradients of gradients go through those.
"""

from __future__ import annotations

import math
from math import prod

import numpy as np

from gemel.graph.errors import DTypeError, ShapeError
from gemel.graph.form import DType, Form, form
from gemel.graph.node import Node

from . import attention as whole
from .activations import softmax
from .contraction import matmul
from .elementwise import EXP, LOG, broadcast_shapes, const, eq, where
from .host import unpacked
from .movement import concat, expand, permute, reshape, sum_to, swap
from .record import Primitive
from .reduction import amax, sum_

FEWEST = 8  # queries and keys: below, scores are few
WIDEST = 256  # numbers of a query, key or value
enabled = [True]  # False: faces record composites, to test one against the other


# ---------- the entrance ----------
def attention(
    query: Node, key: Node, value: Node, mask: Node | None, causal: bool, scale: float,
    tiled: bool = True,
) -> Node:  # fmt: skip
    """softmax(scale query key^T + mask) value: [..., H, L, V]. A bool mask says what takes part,
    one of numbers is added. Rows that see nothing give zeros. not tiled: by the composite."""
    if not tiled or not _fits(query, key, value):
        return whole.composite(query, key, value, mask, causal, scale)
    lead = _leading(query, key, value)
    q, k, v = (_with_heads(x, lead) for x in (query, key, value))
    masks = [] if mask is None else [expand(mask, (*q.shape[:-1], k.shape[-2]))]
    made = ATTENTION(q, k, v, *masks, attrs=("forward", causal, scale, None))
    result = result_of(made)
    return result if query.ndim > 2 else reshape(result, result.shape[-2:])


def of_softmax(
    query: Node, key: Node, value: Node, mask: Node | None, causal: bool, scale: float,
    hidden: float | None,
) -> Node:  # fmt: skip
    """The node of one attention in which the shares are a plain softmax: `hidden` takes the place
    of scores that a bool mask hides, so rows of nothing but -inf give NaN (None: zeros). All with
    equal leading axes, the mask expanded."""
    masks = [] if mask is None else [mask]
    return ATTENTION(query, key, value, *masks, attrs=("forward", causal, scale, hidden))


def result_of(made: Node) -> Node:
    """The first result of a forward node: [..., H, L, V]."""
    return _results(made, made.args[0], made.args[2])[0]


def _fits(query: Node, key: Node, value: Node) -> bool:
    heads = max(x.ndim for x in (query, key, value)) == query.ndim
    same = query.dtype is key.dtype is value.dtype
    places = (x.shape[-2:] for x in (query, key, value))
    full = all(x.form.size for x in (query, key, value))
    fit = heads and same and full and _heads_fit(query, key, value)
    return fit and has_kernel(query.dtype, *places)


def has_kernel(dtype: DType, query: tuple, key: tuple, value: tuple) -> bool:
    """Is there a kernel for a type and these sizes: (places, width)?"""
    enough = min(query[0], key[0]) >= FEWEST and 1 <= min(query[1], value[1])
    return enough and dtype.kind == "f" and not dtype.half and max(query[1], value[1]) <= WIDEST


def _heads_fit(query: Node, key: Node, value: Node) -> bool:
    heads, shared, others = (x.shape[-3] if x.ndim > 2 else 1 for x in (query, key, value))
    return heads % shared == 0 and shared == others


def _leading(*nodes: Node) -> tuple[int, ...]:
    """The axes before the heads that all are expanded to."""
    return broadcast_shapes("attention", *(form(x.shape[:-3], x.dtype) for x in nodes))


def _with_heads(x: Node, lead: tuple[int, ...]) -> Node:
    heads = x.shape[-3] if x.ndim > 2 else 1
    x = reshape(x, (*x.shape[:-3], heads, *x.shape[-2:]))
    return expand(x, (*lead, *x.shape[-3:]))


# ---------- several results in a row ----------
def _sizes(attrs, *shapes) -> list[tuple[int, ...]]:
    """Shapes of the results, without the leading axes."""
    (heads, length, width), (_, _, _), (shared, source, depth) = (s[-3:] for s in shapes[:3])
    if attrs[0] == "forward":
        return [(length, heads, depth), (heads, length), (heads, length)]
    return [(length, heads, width), (source, shared, width), (source, shared, depth)]


def _results(made: Node, *args: Node) -> list[Node]:
    """The results of a node as [..., heads, places, width]; args: query and value, or all three."""
    q, v = args[0], args[-1]
    sizes = _sizes(made.attrs, q.shape, q.shape, v.shape)
    found = unpacked(made, *sizes)
    return [_turned(x) if len(size) == 3 else x for x, size in zip(found, sizes, strict=True)]


def _turned(x: Node) -> Node:
    """[..., places, heads, width] as [..., heads, places, width], and back."""
    n = x.ndim
    return permute(x, (*range(n - 3), n - 2, n - 3, n - 1))


def _row(parts: list[Node], lead: tuple[int, ...]) -> Node:
    """The results as one row."""
    turned = [_turned(x) if x.ndim == len(lead) + 3 else x for x in parts]
    flat = [reshape(x, (*lead, prod(x.shape[len(lead) :]))) for x in turned]
    return concat(flat, len(lead))


def _infer(attrs, *forms: Form) -> Form:
    q, k, v, *rest = forms
    if any(f.dtype is not q.dtype for f in (k, v)) or q.dtype.kind != "f":
        raise DTypeError("attention", "query, key and value must be floats of one type", forms)
    heads, shared = q.shape[-3], k.shape[-3]
    fit = q.shape[-1] == k.shape[-1] and k.shape[:-1] == v.shape[:-1]
    if not fit or heads % shared or q.shape[:-3] != k.shape[:-3]:
        raise ShapeError("attention", "query, key and value do not fit", forms)
    if rest and len(rest) % 2 and rest[0].shape != (*q.shape[:-1], k.shape[-2]):
        raise ShapeError("attention", "the mask does not fit", forms)
    sizes = _sizes(attrs, q.shape, k.shape, v.shape)
    return form((*q.shape[:-3], sum(map(prod, sizes))), q.dtype)


def _taken_apart(attrs, args) -> tuple:
    """(query, key, value, mask or None, kept, gradient); the last two of the backward pass."""
    q, k, v, *rest = args
    mask = rest.pop(0) if len(rest) % 2 else None
    kept, gradient = rest or (None, None)
    return q, k, v, mask, kept, gradient


# ---------- the composites ----------
def _scores(attrs, q: Node, k: Node, mask: Node | None) -> Node:
    _, causal, scale, hidden = attrs
    scores = matmul(q, swap(k)) * scale
    if causal:
        scores = whole.masked(scores, whole.earlier(scores.shape))
    if mask is not None and mask.dtype.kind == "b" and hidden is not None:
        return where(mask, scores, const(hidden, scores.dtype))
    return scores if mask is None else whole.masked(scores, mask)


def _softmax(attrs, scores: Node) -> Node:
    """Rows that see nothing: zeros, or as a softmax has it."""
    soft = whole.safe_softmax if attrs[3] is None else softmax
    return soft(scores, scores.ndim - 1)


def _shared(x: Node, heads: int) -> Node:
    return whole.repeated_heads(x, heads // x.shape[-3]) if x.shape[-3] != heads else x


def _composite(attrs, *args: Node) -> Node:
    q, k, v, mask, _, g = _taken_apart(attrs, args)
    heads, lead = q.shape[-3], q.shape[:-3]
    keys, values = _shared(k, heads), _shared(v, heads)
    scores = _scores(attrs, q, keys, mask)
    share = _softmax(attrs, scores)
    if attrs[0] == "forward":
        return _row([matmul(share, values), *_levels(scores)], lead)
    slope = _slope(share, matmul(g, swap(values)))
    if attrs[3] is not None and mask is not None and mask.dtype.kind == "b":
        slope = where(mask, slope, const(0, slope.dtype))
    d_query = matmul(slope, keys) * attrs[2]
    d_key = matmul(swap(slope), q) * attrs[2]
    d_value = matmul(swap(share), g)
    return _row([d_query, _gathered(d_key, k), _gathered(d_value, v)], lead)


def _levels(scores: Node) -> tuple[Node, Node]:
    """Per query: its largest score, or 0; the logarithm of the sum of exponentials below it."""
    axis = scores.ndim - 1
    top = amax(scores, axis, True)
    top = where(eq(top, -math.inf), const(0, top.dtype), top)
    total = LOG(sum_(EXP(scores - top), axis, True))
    return reshape(top, top.shape[:-1]), reshape(total, total.shape[:-1])


def _slope(share: Node, change: Node) -> Node:
    """The gradient for scores of that for their softmax."""
    return share * (change - sum_(share * change, share.ndim - 1, True))


def _gathered(x: Node, like: Node) -> Node:
    """Gradients of heads that share a key, added."""
    if x.shape == like.shape:
        return x
    *lead, heads, source, width = x.shape
    shared = like.shape[-3]
    apart = reshape(x, (*lead, shared, heads // shared, source, width))
    return sum_(apart, len(lead) + 1, False)


# ---------- gradients ----------
def _gradient(g: Node, y: Node, *args: Node) -> list[Node] | None:
    """Of the result; nothing but the backward pass reads the rest. Of the backward pass:
    through its composite."""
    if y.attrs[0] == "backward":
        return None
    q, k, v, *masks = args
    of_result = _results_like(g, y, q, v)
    attrs = ("backward", *y.attrs[1:])
    made = ATTENTION(*args, y, of_result, attrs=attrs)
    found = _results(made, q, k, v)
    return [*found, *(_mask_gradient(attrs, args, of_result) for _ in masks)]


def _results_like(g: Node, y: Node, q: Node, v: Node) -> Node:
    sizes = _sizes(y.attrs, q.shape, q.shape, v.shape)
    return _turned(unpacked(g, *sizes)[0])


def _mask_gradient(attrs, args, g: Node) -> Node:
    """Of a mask of numbers, with all scores in memory."""
    q, k, v, mask = args
    if mask.dtype.kind == "b":
        return mask  # asked for by nobody
    heads = q.shape[-3]
    scores = _scores(attrs, q, _shared(k, heads), mask)
    share = _softmax(attrs, scores)
    return sum_to(_slope(share, matmul(g, swap(_shared(v, heads)))), mask.shape)


# ---------- the reference ----------
def _reference(attrs, *arrays):
    q, k, v, mask, kept, g = _taken_apart(attrs, arrays)
    times = q.shape[-3] // k.shape[-3]
    keys, values = (np.repeat(x, times, -3) for x in (k, v))
    share, *levels = _shares(attrs, q, keys, mask)
    if attrs[0] == "forward":
        return _joined([share @ values, *levels])
    change = g @ np.swapaxes(values, -1, -2)
    slope = share * (change - (share * change).sum(-1, keepdims=True)) * attrs[2]
    if attrs[3] is not None and mask is not None and mask.dtype == bool:
        slope = np.where(mask, slope, 0)
    slope = slope.astype(q.dtype)
    found = [slope @ keys]
    for weight, other, like in ((slope, q, k), (share, g, v)):
        d = np.swapaxes(weight, -1, -2) @ other
        found.append(d.reshape(*like.shape[:-2], times, *like.shape[-2:]).sum(-3))
    return _joined(found)


def _shares(attrs, q, k, mask):
    """(softmax of the scores, levels, logarithms of the sums)"""
    _, causal, scale, hidden = attrs
    low = -np.inf if hidden is None else q.dtype.type(hidden)
    scores = (q @ np.swapaxes(k, -1, -2)) * q.dtype.type(scale)
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, low) if mask.dtype == bool else scores + mask
    top = scores.max(-1, keepdims=True)
    top = np.where(top == -np.inf, 0, top)
    e = np.exp(scores - top)
    total = e.sum(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        logs = np.log(total)[..., 0]
    empty = 1 if hidden is None else np.nan
    return (e / np.where(total == 0, empty, total)).astype(q.dtype), top[..., 0], logs


def _joined(parts):
    lead = parts[0].ndim - 3
    rows = [np.swapaxes(x, -2, -3) if x.ndim == lead + 3 else x for x in parts]
    return np.concatenate([x.reshape(*x.shape[:lead], -1) for x in rows], -1)


# attrs: ("forward" or "backward", causal?, scale, hidden). hidden: the number that takes the place
# of scores where a bool mask is False, the rest a softmax; None: -inf, and zeros if all is hidden
ATTENTION = Primitive(
    "attention", "attention", -1, _infer, _gradient, _reference, composite=_composite
)
