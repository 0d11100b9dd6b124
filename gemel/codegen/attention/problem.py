"""What one attention computes, as its kernel is told: sizes, strides, blocks.

Role: read a section's attributes and forms once. Input: a `Native` section named "attention".
Output: a `Problem`. Invariant: blocks follow from sizes alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, prod

from gemel.codegen.attention.products import most_rows, vectors_together
from gemel.codegen.blocks import LINE, covering, split
from gemel.codegen.emitter import element
from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.nest import Native
from gemel.codegen.sizes import divides, hint, is_size
from gemel.runtime.machine import machine

_LONG = 256  # queries from which on blocks are as wide as tiles can be
_KEYS = 64  # of a block
_GROUPED = 20_000.0  # nanoseconds that a piece should last
_APART = 16  # pieces that the backward pass should have, where it is long
_SHORTEST = 512  # keys of such a piece at least
_LONG_FOR_TILES = 384  # queries: laying out parts of keys takes time for each block of queries
_FEWEST_FOR_TILES = 256  # keys
_EMPTIEST = 1.5  # tiles at most for what one would hold
_TILE = 32
_STEEPEST = 2.0**20  # scales above which dS could overflow as a sum of parts
_BLOCKS = 16  # that there should be before blocks are as long as can be
_SPEED = 100.0  # operations in a nanosecond, about
_SPEED_ON_TILES = 200.0


@dataclass(frozen=True)
class View:
    """Where an array's elements lie: leading axes, then heads, places and, but for masks, its
    width with stride 1."""

    buffer: int
    offset: int
    lead: tuple[int, ...]
    head: int
    row: int
    width: int
    elem: str


@dataclass(frozen=True)
class Problem:
    """heads: of the queries; shared: of keys and values. length, source: queries, keys.
    width: of queries and keys; depth: of values. hidden: the score where a bool mask is False, if
    the shares are a plain softmax; None: -inf, and queries that see nothing get zeros. on_tiles:
    queries of a block where products are computed on matrix tiles, else 0."""

    part: str
    causal: bool
    scale: float
    hidden: float | None
    lead: tuple[int, ...]
    heads: int
    shared: int
    length: int
    source: int
    width: int
    depth: int
    elem: str
    views: dict[str, View]
    on_tiles: int = 0

    @property
    def lanes(self) -> int:
        return machine().vector_bytes // SIZES[self.elem]

    @property
    def vectors(self) -> int:
        """Vectors of a block of queries."""
        if self.on_tiles:
            return self.on_tiles // self.lanes
        most = vectors_together() if hint(self.length) >= _LONG else 2
        return most if is_size(self.length) else min(ceil(self.length / self.lanes), most)

    @property
    def queries(self) -> int:
        """Of a block."""
        return self.vectors * self.lanes

    @property
    def spread(self) -> int:
        """Queries whose exponentials are computed together: of a whole block where vectors are
        narrow, as processors that look less far ahead find independent instructions together."""
        return self.queries if machine().vector_bytes < LINE else self.lanes

    @property
    def keys(self) -> int:
        """Of a block."""
        return _KEYS

    @property
    def slack(self) -> int:
        """Rows of scores before the first that a block's last tile may write."""
        return most_rows(self.queries, self.lanes)

    @property
    def again(self) -> bool:
        """Are there always keys enough for a tile?"""
        if is_size(self.source):
            return False
        return min(self.source, self.queries) >= self.slack

    def panel(self, queries: int) -> Problem:
        """The same, on matrix tiles, with as many queries in a block."""
        return replace(self, on_tiles=queries)

    @property
    def suits_tiles(self) -> bool:
        """Is it quicker on matrix tiles, which multiply groups of 32 in three parts each?"""
        host = machine()
        if not host.matrix_tiles or self.elem != "float" or is_size(self.width + self.depth):
            return False
        padded = sum(ceil(n / _TILE) * _TILE for n in (self.width, self.depth))
        full = padded <= _EMPTIEST * (self.width + self.depth)
        long = hint(self.length) >= _LONG_FOR_TILES and hint(self.source) >= _FEWEST_FOR_TILES
        return full and long and abs(self.scale) <= _STEEPEST

    @property
    def blocks(self) -> int:
        """Of queries, in a head."""
        return covering(self.length, self.queries)

    @property
    def whole(self) -> bool:
        """Are all blocks of queries full?"""
        return divides(self.queries, self.length)

    @property
    def batches(self) -> int:
        return prod(self.lead)

    @property
    def chunks(self) -> int:
        """Ranges of keys that the backward pass treats apart, their query gradients added."""
        if self.part == "forward":
            return 1
        wanted = ceil(_APART / hint(self.batches * self.shared))
        return max(1, min(wanted, hint(self.source) // _SHORTEST))

    @property
    def chunk(self) -> int:
        """Keys of such a range."""
        return covering(covering(self.source, self.chunks), self.keys) * self.keys

    @property
    def operations(self) -> int:
        length, source = hint(self.length), hint(self.source)
        pairs = length * source
        if self.causal:
            pairs = sum(min(i + 1, source) for i in range(length))
        each = self.width + self.depth
        if self.part == "backward":
            each = 3 * self.width + 2 * self.depth
        return 2 * hint(self.batches * self.heads) * pairs * each

    @property
    def work(self) -> float:
        """Estimated nanoseconds on one core."""
        return self.operations / (_SPEED_ON_TILES if self.on_tiles else _SPEED)

    @property
    def units(self) -> int:
        """What pieces consist of: blocks of queries, or ranges of keys of the backward pass."""
        if self.part == "forward":
            return self.batches * self.heads * self.blocks
        return self.batches * self.shared * self.chunks

    @property
    def together(self) -> int:
        """Units of a piece."""
        units = hint(self.units)
        return max(1, min(units, ceil(_GROUPED * units / max(self.work, 1.0))))

    def padded(self, width: int) -> int:
        """Whole vectors."""
        return ceil(width / self.lanes) * self.lanes

    def pointer(
        self, f: Function, pointers: list[Value], name: str, batch: Operand, head: Operand
    ) -> Value:
        """Where the array of a batch and a head begins."""
        view = self.views[name]
        at: Operand = view.offset
        for index, stride in zip(split(f, batch, self.lead[1:]), view.lead, strict=False):
            at = f.add(at, f.mul(index, stride))
        at = f.add(at, f.mul(head, view.head))
        return f.gep(pointers[view.buffer], at, view.elem)


def problem_of(section: Native) -> Problem:
    """Arguments: query, key, value, perhaps a mask; for the backward pass also what the forward
    pass gave, and the result's gradient."""
    part, causal, scale, hidden, places = section.attrs
    names = ["query", "key", "value"]
    if len(section.arguments) == (4 if part == "forward" else 6):
        names.append("mask")
    if part == "backward":
        names += ["kept", "gradient"]
    forms = dict(zip(names, section.argument_forms, strict=True))
    *lead, heads, length, width = forms["query"].shape
    shared, source, depth = forms["value"].shape[-3:]
    elem = element(forms["query"].dtype)
    views = {}
    for name, buffer, (offset, strides) in zip(names, section.arguments, places, strict=True):
        kind = element(forms[name].dtype)
        if name == "kept":
            views["result"] = _result(buffer, offset, strides, heads, depth, elem)
            views |= _levels(buffer, offset, strides, (heads, length, depth), elem)
        else:
            *before, head, row, last = strides
            views[name] = View(buffer, offset, tuple(before), head, row, last, kind)
    found = Problem(
        part, causal, scale, hidden, tuple(lead), heads, shared, length, source, width, depth, elem,
        {**views, **_results(section, part, (heads, shared), (length, source), (width, depth))},
    )  # fmt: skip
    if not found.suits_tiles:
        return found
    long = hint(found.batches * heads * length) >= _BLOCKS * _LONG
    return found.panel(_LONG if long else _LONG // 2)


def _result(buffer: int, offset: int, strides, heads: int, width: int, elem: str) -> View:
    """[places, heads, width] in a row."""
    return View(buffer, offset, tuple(strides[:-1]), width, heads * width, 1, elem)


def _levels(buffer: int, offset: int, strides, sizes, elem: str) -> dict[str, View]:
    """What the forward pass writes after its result, per query. sizes: heads, queries, depth."""
    heads, length, depth = sizes
    start, lead = offset + length * heads * depth, tuple(strides[:-1])
    places = {"levels": start, "logarithms": start + heads * length}
    return {name: View(buffer, at, lead, length, 1, 0, elem) for name, at in places.items()}


def _results(section: Native, part: str, heads, lengths, widths) -> dict[str, View]:
    """What is written: rows of numbers, one a batch."""
    form = section.result_form
    elem, number = element(form.dtype), section.result
    strides = [prod(form.shape[i + 1 :]) for i in range(len(form.shape))]

    def put(offset: int, count: int, width: int) -> View:
        return _result(number, offset, strides, count, width, elem)

    if part == "forward":
        kept = _levels(number, 0, strides, (heads[0], lengths[0], widths[1]), elem)
        return {"result": put(0, heads[0], widths[1]), **kept}
    first = lengths[0] * heads[0] * widths[0]
    second = first + lengths[1] * heads[1] * widths[0]
    return {
        "d query": put(0, heads[0], widths[0]),
        "d key": put(first, heads[1], widths[0]),
        "d value": put(second, heads[1], widths[1]),
    }
