"""Are things as the last call of a `Steady` left them?

In: the storages and gradients of a Steady. Out: lines of its short way, which give up unless the
addresses in its table are still those of the values, the gradients are where they were put, or
nowhere, and nobody else holds what the program overwrites.
"""

from __future__ import annotations

from sys import getrefcount
from typing import TYPE_CHECKING, Any

from gemel.runtime.buffer import Buffer
from gemel.runtime.builtins.call import looker
from gemel.runtime.builtins.instances import counts_are_words, slot_of

from .storage import Storage
from .tensor import Tensor, new

if TYPE_CHECKING:
    from .straight import Text

# how many hold a thing that nobody else holds; the functions that look hold all in one tuple
BUFFER = 2  # that, and its storage
STORAGE = 3  # that, the list of held storages, the gradient
GRADIENT = 4  # that, the list of deposits, the short way, the parameter (unless it forgot it)


def look(text: Text, steady: Any) -> None:
    """Give up where something changed. `forgotten`: have the parameters no gradients now?"""
    states, held = things(steady)
    steady.looked = held if counts_are_words() else None
    if not states:
        return
    deposits = steady.traced.deposits
    looks = []
    if counts_are_words():
        looks = [looker(pairs_of(steady, states, less), held) for less in (0, 1)]
    if not looks or None in looks:
        steady.looked = None
        _look_slowly(text, steady)
        return
    there, nowhere = (f"{text.name(one)}()" for one in looks)
    if not deposits:
        text.need(f"not {there}")
        return
    places = [(f"{text.name(p)}.grad is", text.name(g)) for p, g in deposits]
    text.add(f"forgotten = {places[0][0]} None", "if forgotten:")
    gone = " and ".join(f"{place} None" for place, _ in places[1:])
    text.add(f"    if {f'not ({gone}) or ' if gone else ''}{nowhere}:", "        return MISSED")
    kept = " and ".join(f"{place} {g}" for place, g in places)
    text.add(f"elif not ({kept}) or {there}:", "    return MISSED")


def things(steady: Any) -> tuple[tuple, tuple]:
    """The storages that are looked at; and all whose holders are counted, which everything that
    looks at them must hold in this one tuple."""
    states = (*steady.rewritten, *steady.held, *steady.fixed)
    given = [g for _, g in steady.traced.deposits]
    return states, (*states, *(st.buf for st in states), *given)


def pairs_of(steady: Any, states: tuple, less: int) -> list[tuple[int, int]]:
    """(address, word) of what is looked at; `less`: how much less often gradients are held."""
    given = [g for _, g in steady.traced.deposits]
    alone = [st.buf for st in (*steady.rewritten, *steady.held)]
    buf, storage = slot_of(Storage, "buf"), slot_of(Tensor, "st")
    looks = [(id(st) + buf, id(st.buf)) for st in states]
    looks += [(id(g) + storage, id(g.st)) for g in given]
    looks += [(id(b), BUFFER) for b in alone]
    looks += [(id(st), STORAGE) for st in steady.held]
    looks += [(id(g), GRADIENT - less) for g in given]
    return looks


def _look_slowly(text: Text, steady: Any) -> None:
    """The same where words of memory cannot be looked at.

    Each object is looked at where it must be, so none is held less often than in the measurement:
    the sum of the counts tells whether anybody else holds one.
    """
    conditions = []
    for st in (*steady.rewritten, *steady.held, *steady.fixed):
        conditions.append(f"{text.name(st)}.buf is {text.name(st.buf)}")
    given = [g for _, g in steady.traced.deposits]
    conditions += [f"{text.name(g)}.st is {text.name(g.st)}" for g in given]
    text.need(*conditions)
    alone = [st.buf for st in (*steady.rewritten, *steady.held)]
    if not alone:
        return
    counted = text.name((*alone, *steady.held, *given))
    total = 0
    for kind, count in zip((alone, steady.held, given), COUNTS, strict=True):
        total += count * len(kind)
    places = [f"{text.name(p)}.grad is" for p, _ in steady.traced.deposits]
    if not places:
        text.need(f"sum(map(getrefcount, {counted})) == {total}")
        return
    there = [f"{place} {text.name(g)}" for place, g in zip(places, given, strict=True)]
    nowhere = [f"{place} None" for place in places]
    # forgotten since the last call, all of them: they are put back, and were held once less
    text.add(f"forgotten = {nowhere[0]}", "if forgotten:")
    text.add(f"    if not ({' and '.join(nowhere)}):", "        return MISSED")
    text.add(f"elif not ({' and '.join(there)}):", "    return MISSED")
    less = f"{total - len(given)} if forgotten else {total}"
    text.need(f"sum(map(getrefcount, {counted})) == ({less})")


def _measure_counts() -> tuple[int, int, int]:
    """How often a buffer, a gradient's storage and the gradient itself are held when
    only those hold them that must."""

    def named(buffer, storage, gradient, counted):
        def short():
            assert buffer and storage and gradient
            return list(map(getrefcount, counted))

        return short

    st = Storage()
    st.buf = Buffer(0)
    g = new(Tensor)
    g.st = Storage()
    p = new(Tensor)
    p.grad = g
    traced_held, deposits = [g.st], [(p, g)]
    short = named(st.buf, g.st, g, (st.buf, g.st, g))
    del g
    assert traced_held and deposits
    own, storage, gradient = short()
    return own, storage, gradient


COUNTS = _measure_counts()
