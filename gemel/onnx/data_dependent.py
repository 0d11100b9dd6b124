"""Operators whose result's shape depends on values: computed on the host."""

from __future__ import annotations

import numpy as np

from .operators import operator


@operator("NonZero", kind="host")
def places(node, x):
    return np.array(np.nonzero(x), np.int64).reshape(max(x.ndim, 1) if x.ndim else 0, -1)


@operator("Compress", kind="host")
def compress(node, x, condition):
    return np.compress(condition, x, node.get("axis"))


@operator("Unique", kind="host")
def unique(node, x):
    axis = node.get("axis")
    values, first, inverse, counts = np.unique(x, True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    if not node.get("sorted", 1):
        order = np.argsort(first)
        values = np.take(values, order, 0 if axis is None else axis)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        first, inverse, counts = first[order], place[inverse], counts[order]
    return values, *(a.astype(np.int64) for a in (first, inverse, counts))


@operator("NonMaxSuppression", kind="host")
def suppressed(node, boxes, scores, most=None, overlap=None, threshold=None):
    """[selected, (batch, class, box)]: boxes in order of their scores, without those that overlap
    one that was selected."""
    most = 0 if most is None else int(most.reshape(-1)[0])
    overlap = 0.0 if overlap is None else float(overlap.reshape(-1)[0])
    threshold = None if threshold is None else float(threshold.reshape(-1)[0])
    corners = _corners(boxes, bool(node.get("center_point_box", 0)))
    found = []
    for b, c in np.ndindex(scores.shape[:2]):
        chosen = _selected(corners[b], scores[b, c], most, overlap, threshold)
        found += [(b, c, k) for k in chosen]
    return np.array(found, np.int64).reshape(-1, 3)


def _corners(boxes, centered: bool):
    """Boxes as (low, low, high, high)."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if centered:
        return np.concatenate([first - second / 2, first + second / 2], -1)
    return np.concatenate([np.minimum(first, second), np.maximum(first, second)], -1)


def _selected(boxes, scores, most: int, overlap: float, threshold) -> list[int]:
    kept: list[int] = []
    for k in np.argsort(-scores, kind="stable"):
        if len(kept) >= most or threshold is not None and scores[k] <= threshold:
            break
        if all(_shared(boxes[k], boxes[j]) <= overlap for j in kept):
            kept.append(int(k))
    return kept


def _shared(a, b) -> float:
    """The area that two boxes share over the area that they cover."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if (sides <= 0).any():
        return 0.0
    area = sides.prod()
    return float(area / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - area))


@operator("TfIdfVectorizer", kind="host")
def counted_grams(node, x):
    """How often each n-gram of a pool comes in the rows of x, with gaps of up to max_skip_count."""
    rows = x.reshape(1, -1) if x.ndim < 2 else x
    grams = _grams(node)
    size = max(node.get("ngram_indexes")) + 1
    counts = np.zeros((len(rows), size), np.float32)
    for row, out in zip(rows.tolist(), counts, strict=True):
        _count(node, row, grams, out)
    weights = np.ones(size, np.float32)
    if node.get("weights"):
        weights[node.get("ngram_indexes")] = node.get("weights")
    mode = node.get("mode")
    made = {"TF": counts, "IDF": (counts > 0) * weights, "TFIDF": counts * weights}[mode]
    return made.reshape(size) if x.ndim < 2 else made


def _grams(node) -> dict:
    """n-gram -> its place in the result."""
    pool = node.get("pool_int64s")
    starts = [*node.get("ngram_counts"), len(pool)]
    found: dict = {}
    places = iter(node.get("ngram_indexes"))
    for n, (start, stop) in enumerate(zip(starts, starts[1:], strict=False), 1):
        for at in range(start, stop, n):
            found[tuple(pool[at : at + n])] = next(places)
    return found


def _count(node, row: list, grams: dict, out) -> None:
    shortest, longest = node.get("min_gram_length"), node.get("max_gram_length")
    for gap in range(1, node.get("max_skip_count", 0) + 2):
        for n in range(shortest, longest + 1):
            if n == 1 and gap > 1:
                continue  # a single item has no gaps
            for at in range(len(row) - (n - 1) * gap):
                place = grams.get(tuple(row[at : at + n * gap : gap][:n]))
                if place is not None:
                    out[place] += 1
