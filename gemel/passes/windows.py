"""Windows of a contraction as plain loops: where the elements of each label lie.

A product runs over loops, one for each label that is not part of a window. A window
(place = stride * step + dilation * tap - pad) has two loops, and its third label follows from them:

* in an operand, the place follows from step and tap; it may fall outside, where elements read as 0;
* in the result, each place is met by some pairs of step and tap only. With stride 1 there is a
  step for each tap. With more, places fall into phases (the place modulo the stride), each with
  its own taps; every phase is a product of its own, and a phase without taps is 0. Where all taps
  fit into equally many strides, or the stride is large, neighbouring phases share one product:
  the phase is then a loop beside the output channels. Where neighbours in the result are of
  different phases, and many channels share the work, all phases share one product: the loops are
  the phase and the shift (of the step), and a tap that does not exist is 0.

Out: `Part`s, that together give each cell of the result once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from math import gcd, prod

from gemel.codegen.nest import Access, Bound, Expr, Store, access, remade
from gemel.codegen.sizes import hint
from gemel.ops.contraction import Window

LARGE_STRIDE = 4  # from here on phases share a product, at the price of some empty taps
# Channels of a result whose phases are computed together: of one image, and of one of its groups.
_SOME_CHANNELS, _MANY_CHANNELS = 2, 8
_FEW_STRIDES = 4


@dataclass(frozen=True)
class Index:
    """The index along a label: `start + sum(loop * step)`. `size`: it may lie outside of [0, size),
    and the element is then 0."""

    start: int
    steps: tuple[tuple[int, int], ...]  # (loop, step)
    size: int | None = None


@dataclass(frozen=True)
class Part:
    """Some cells of the result. `empty`: nothing is summed into them."""

    sizes: dict[int, int]  # of the loops
    places: dict[int, Index] = field(default_factory=dict)  # labels that are not loops themselves
    empty: bool = False
    pairs: Fraction = Fraction(1)  # the part of the loops' turns in which a tap exists

    @property
    def products(self) -> int:
        """How many products are added."""
        return int(prod(map(hint, self.sizes.values())) * self.pairs)

    def _steps(self, label: int) -> tuple[tuple[int, int], ...]:
        return self.places[label].steps if label in self.places else ((label, 1),)

    def loops(self, labels) -> list[int]:
        """The loops that the labels vary with, in order."""
        return list(dict.fromkeys(loop for label in labels for loop, _ in self._steps(label)))

    def access(self, by_label: Access) -> Access:
        """An access with a stride per label as one with a stride per loop."""
        offset = by_label.offset
        strides: dict[int, int] = {}
        for label, stride in by_label.strides:
            offset += self.places[label].start * stride if label in self.places else 0
            for loop, step in self._steps(label):
                strides[loop] = strides.get(loop, 0) + step * stride
        return access(by_label.buffer, offset, strides)

    def bounds(self, labels) -> tuple[Bound, ...]:
        """Where an operand with these labels has no elements."""
        found = (self.places[label] for label in labels if label in self.places)
        return tuple(Bound(i.steps, i.start, i.size) for i in found if i.size is not None)

    def stores(self, by_label: list[Store]) -> list[Store]:
        """The stores and all that they read, by loop."""

        def renew(e: Expr, args: tuple) -> Expr:
            return Expr(e.kind, e.dtype, args, self.loops(sorted(e.axes)), e.payload)

        return remade(by_label, self.access, renew) if self.places else by_label


def parts(sizes: dict[int, int], labels: tuple, windows: tuple[Window, ...]) -> list[Part]:
    """The products that make up a contraction. sizes: label -> size, with the windows' labels;
    labels: of both operands and the result."""
    free = {label: n for label, n in sizes.items() if not any(label in w[:3] for w in windows)}
    loops = _Loops(max(sizes, default=-1) + 1)
    scatter = _together if _interleaves(sizes, labels, windows) else _scattered
    ways = [scatter(w, loops) if w.place in labels[2] else [_gathered(w)] for w in windows]
    found = []
    for chosen in product(*ways):
        part = Part(dict(free), {}, any(way.empty for way in chosen))
        part = replace(part, pairs=prod((way.pairs for way in chosen), start=Fraction(1)))
        for way in chosen:
            part.sizes.update(way.sizes)
            part.places.update(way.places)
        if all(part.sizes.values()):
            found.append(part)
    return found


def _interleaves(sizes: dict[int, int], labels: tuple, windows: tuple[Window, ...]) -> bool:
    """Whether neighbours in the result are of different phases, to be computed together."""
    left, right, result = labels
    last = next((w for w in windows if result and w.place == result[-1]), None)
    if last is None or not 1 < last.stride <= LARGE_STRIDE:
        return False
    weights = left if last.tap in left else right
    shared = left if weights is right else right
    channels = [sizes[x] for x in weights if x in result and x not in shared]
    strided = [w for w in windows if w.place in result and w.stride > 1]
    if any(w.dilation > 1 or not w.taps or not w.steps for w in strided):
        return False
    # what is left over beside few whole strides is too much
    uneven = any(w.places % w.stride and w.places < _FEW_STRIDES * w.stride for w in strided)
    grouped = any(x in left and x in right and sizes[x] > 1 for x in result)
    least = _MANY_CHANNELS if grouped else _SOME_CHANNELS
    return not uneven and prod(channels) >= least


class _Loops:
    """Hands out numbers of loops that are no label."""

    def __init__(self, first: int):
        self.next = first

    def new(self) -> int:
        self.next += 1
        return self.next - 1


def _index(start: int, steps: dict[int, int], sizes: dict[int, int], size: int) -> Index:
    """An index with its bound. One loop that stays inside is no window but a plain stride."""
    reach = [(sizes[loop] - 1) * step for loop, step in steps.items()]
    low, high = start + sum(min(0, r) for r in reach), start + sum(max(0, r) for r in reach)
    plain = 0 <= low and high < size and sum(map(bool, reach)) <= 1
    return Index(start, tuple(steps.items()), None if plain else size)


def _gathered(w: Window) -> Part:
    """The place is an operand's: any step with any tap."""
    sizes = {w.step: w.steps, w.tap: w.taps}
    if not w.steps or not w.taps:
        return Part(sizes)
    steps = {w.step: w.stride, w.tap: w.dilation}
    return Part(sizes, {w.place: _index(-w.pad, steps, sizes, w.places)})


def _scattered(w: Window, loops: _Loops) -> list[Part]:
    """The place is the result's: the step follows from place and tap."""
    if w.dilation == 1 and (w.taps % w.stride == 0 or w.stride >= LARGE_STRIDE):
        return _shared_phases(w, loops)
    return [_phase(w, r, loops) for r in range(min(w.stride, w.places))]


def _together(w: Window, loops: _Loops) -> list[Part]:
    """All phases in one product, but for the places after the last whole stride. The place
    stride * q + phase meets step q + shift at tap phase + pad - stride * shift."""
    if w.stride == 1:
        return [_phase(w, 0, loops)]
    whole, rest = divmod(w.places, w.stride)
    cuts = ((0, whole, w.stride), (whole, 1, rest))
    return [_phases(w, *cut, loops) for cut in cuts if all(cut[1:])]


def _phases(w: Window, first: int, count: int, phases: int, loops: _Loops) -> Part:
    """`count` times the first phases, from place stride * first on."""
    low = -((w.taps - 1 - w.pad) // w.stride)
    high = (phases - 1 + w.pad) // w.stride
    q, phase, shift = loops.new(), loops.new(), loops.new()
    to = Index(first * w.stride, ((q, w.stride), (phase, 1)))
    sizes = {q: count, phase: phases}
    if low > high:
        return Part(sizes, {w.place: to}, True)
    sizes[shift] = high - low + 1
    tap = w.pad - w.stride * high
    from_tap = _index(tap, {phase: 1, shift: w.stride}, sizes, w.taps)
    from_step = _index(first + high, {q: 1, shift: -1}, sizes, w.steps)
    found = [tap + p + w.stride * i for p in range(phases) for i in range(sizes[shift])]
    pairs = Fraction(sum(0 <= t < w.taps for t in found), len(found))
    return Part(sizes, {w.place: to, w.tap: from_tap, w.step: from_step}, pairs=pairs)


def _phase(w: Window, r: int, loops: _Loops) -> Part:
    """Places r, r + stride, ...: the taps with dilation * tap = r + pad (modulo the stride)."""
    q, count = loops.new(), -(-(w.places - r) // w.stride)
    to = Index(r, ((q, w.stride),))
    every = w.stride // gcd(w.stride, w.dilation)
    first = next((t for t in range(every) if (r + w.pad - w.dilation * t) % w.stride == 0), w.taps)
    if first >= w.taps:
        return Part({q: count}, {w.place: to}, True)
    tap = loops.new()
    sizes = {q: count, tap: -(-(w.taps - first) // every)}
    start = (r + w.pad - w.dilation * first) // w.stride
    steps = {q: 1, tap: -(every * w.dilation // w.stride)}
    places = {
        w.place: to,
        w.tap: Index(first, ((tap, every),)),
        w.step: _index(start, steps, sizes, w.steps),
    }
    return Part(sizes, places)


def _shared_phases(w: Window, loops: _Loops) -> list[Part]:
    """Runs of neighbouring phases, one product each. With r + pad = stride * c + t the place
    stride * q + r meets tap t + stride * u from step q + c - u."""
    s = w.stride
    turn = -w.pad % s  # the first phase whose first tap is 0
    # where the count of places, the first tap or its existence changes
    cuts = {0, s, turn, w.places % s, (turn + w.taps) % s if w.taps < s else 0}
    edges = sorted(cuts)
    found = []
    for first, last in zip(edges, edges[1:], strict=False):
        q, phase, tap = loops.new(), loops.new(), loops.new()
        sizes = {q: max(0, -(-(w.places - first) // s)), phase: last - first}
        to = Index(first, ((q, s), (phase, 1)))
        c, t = divmod(first + w.pad, s)
        if t >= w.taps:
            found.append(Part(sizes, {w.place: to}, True))
            continue
        sizes[tap] = -(-(w.taps - t) // s)
        from_tap = _index(t, {phase: 1, tap: s}, sizes, w.taps)
        from_step = _index(c, {q: 1, tap: -1}, sizes, w.steps)
        found.append(Part(sizes, {w.place: to, w.tap: from_tap, w.step: from_step}))
    return found
