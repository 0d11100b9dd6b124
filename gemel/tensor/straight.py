"""The short way of a `Steady` as one function without loops, written for its program.

In: the parts of a Steady, and what its caller asks of a call (`Front`). Out: `short(tensors)`,
which gives the caller's result, or MISSED, with nothing done, for a call that is out of the
ordinary. Looping over lists of storages costs more than the looks themselves, so each look is
written out as a line. The text names objects and addresses by their order alone, so that functions
for programs of one make share their code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from sys import getrefcount
from typing import Any

from gemel.passes.compile import DEVICE
from gemel.runtime.buffer import Buffer

from .arrays import evaluated
from .flush import flush
from .state import ROOT_NO_GRAD
from .storage import Storage
from .tape import LOCAL, SEVERAL
from .tensor import Tensor, new

MISSED = object()
_SMALL = 1 << 17  # bytes of a result whose memory is kept for the calls to come
_USED = {
    "LOCAL": LOCAL, "SEVERAL": SEVERAL, "ROOT_NO_GRAD": ROOT_NO_GRAD, "MISSED": MISSED,
    "DEVICE": DEVICE, "getrefcount": getrefcount, "sum": sum, "map": map,
    "len": len, "flush": flush, "evaluated": evaluated, "Buffer": Buffer,
    "new": new, "Storage": Storage,
}  # fmt: skip


class Front:
    """What the caller of a Steady asks of a call; this one asks nothing and takes the list."""

    def kinds(self, text: Text) -> list[str]:
        """Expressions over t0, t1, ... that tell whether they are the tensors expected."""
        return []

    def conditions(self, text: Text) -> list[str]:
        """Expressions over t0, t1, ..., their storages s0, s1, ... and `tape`: all must be true."""
        return []

    def result(self, text: Text, outs: list[str]) -> str:
        """The expression of the call's result."""
        return f"[{', '.join(outs)}]"


class Gate:
    """busy: is a call under way;  shut: are the addresses void;  served: calls up to now"""

    __slots__ = ("busy", "shut", "served")

    def __init__(self):
        self.busy = self.shut = False
        self.served = 0


class Text:
    """Lines of the function under way, and the objects that they name."""

    def __init__(self):
        self.values: dict[str, Any] = dict(_USED)
        self.names: dict[int, str] = {}
        self.lines: list[str] = []
        self.moving: list[str] = []  # names that the function assigns

    def name(self, value: Any) -> str:
        """The name of an object: one only, since each holds it once more."""
        name = self.names.get(id(value))
        if name is None:
            name = self.names[id(value)] = f"v{len(self.values)}"
            self.values[name] = value
        return name

    def add(self, *lines: str) -> None:
        self.lines += lines

    def need(self, *conditions: str) -> None:
        """Give up unless all of these hold."""
        if conditions:
            self.add(f"if not ({' and '.join(conditions)}):", "    return MISSED")

    def function(self) -> Callable:
        body = self.lines
        if self.moving:
            body = [f"nonlocal {', '.join(self.moving)}", *body]
        indented = "\n".join(f"        {line}" for line in body)
        source = (
            f"def make({', '.join(self.values)}):\n"
            f"    def short(tensors):\n{indented}\n"
            "    return short\n"
        )
        return _made(source)(*self.values.values())


@lru_cache(maxsize=256)
def _made(source: str) -> Callable:
    names: dict[str, Any] = {}
    exec(compile(source, "<short way>", "exec"), names)
    return names["make"]


def short_way(steady: Any, front: Front) -> Callable:
    """The function for a Steady that has sorted its parts."""
    text = Text()
    gate = text.name(steady.gate)
    table = text.name(steady.table)
    _ask(text, steady, gate, front)
    filled = _find_inputs(text, steady)
    _look(text, steady)
    text.add(f"{gate}.busy = True", "try:")
    outer, text.lines = text.lines, []
    _fill_numbers(text, steady, table)
    text.add(*[f"{table}[{at}] = {address}" for at, address in filled])
    for k, (at, nbytes) in enumerate(steady.outputs):
        _find_memory(text, k, nbytes)
        text.add(f"{table}[{at}] = o{k}.address")
    enter, address = text.name(steady.enter), text.name(steady.address)
    text.add(f"code = {enter}({address})", "if code:")
    resume, arena = text.name(steady.program.resume), text.name(steady.arena)
    text.add(f"    {resume}(code, {enter}, {address}, {arena})")
    text.lines = outer + [f"    {line}" for line in text.lines]
    text.add("finally:", f"    {gate}.busy = False")
    text.add(f"{gate}.served += 1")
    _put_back(text, steady)
    outs = [_make_tensor(text, k, *kind) for k, kind in enumerate(steady.kinds)]
    text.add(f"return {front.result(text, outs)}")
    return text.function()


def _ask(text: Text, steady: Any, gate: str, front: Front) -> None:
    """The conditions of tape, device and caller."""
    traced = steady.traced
    count = len(traced.forms)
    text.add("tape = LOCAL.tape")
    text.need(
        "not SEVERAL",
        f"not {gate}.busy",
        "tape.tracing is None",
        f"DEVICE[0] == {text.name(steady.plan.device)}",
        f"len(tensors) == {count}",
        *(["not tape.grad"] if traced.flows else []),
    )
    if count:
        text.add(f"{', '.join(f't{k}' for k in range(count))}, = tensors")
        text.need(*front.kinds(text))
        text.add(*[f"s{k} = t{k}.st" for k in range(count)])
    text.need(*front.conditions(text))
    text.add("at = tape.state", "if at.prev is not None and at is not ROOT_NO_GRAD:")
    text.add("    flush(tape)")
    # after the caller's conditions: one of them may exchange gradients
    forms = [f"t{k}.form is {text.name(f)}" for k, f in enumerate(traced.forms)]
    text.need(f"not {gate}.shut", f"{text.name(traced)}.plan is {text.name(steady.plan)}", *forms)


def _find_inputs(text: Text, steady: Any) -> list[tuple[int, str]]:
    """Where the inputs lie: (position in the table, address). `b` holds them during the call."""
    filled = []
    for at, k, f in steady.inputs:
        text.add(f"b{k} = s{k}.buf")
        text.add(f"if t{k}.lens is not None or s{k}.mark is not None or b{k} is None:")
        text.add(f"    b{k} = evaluated(t{k})")
        text.add(f"a{k} = b{k}.address")
        if f.dtype.itemsize > 1:  # memory of others may not even be aligned to its elements
            text.add(f"if a{k} % {f.dtype.itemsize}:", f"    b{k} = b{k}.copy()")
            text.add(f"    a{k} = b{k}.address")
        filled.append((at, f"a{k}"))
    return filled


def _look(text: Text, steady: Any) -> None:
    """Are the addresses in the table those of the values, and may they be written?

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


def _put_back(text: Text, steady: Any) -> None:
    """The parameters hold their gradients, where they were made to forget them."""
    deposits = steady.traced.deposits
    if deposits:
        text.add("if forgotten:")
        text.add(*[f"    {text.name(p)}.grad = {text.name(g)}" for p, g in deposits])


def _fill_numbers(text: Text, steady: Any, table: str) -> None:
    traced = steady.traced
    wanted = steady.plan.numbers
    if not wanted and not traced.replayed:
        return
    start = f"{text.name(steady.pack_numbers)}({table}, {steady.numbers_at}"
    if traced.sole is None:
        text.add(f"{start}, *{text.name(traced.numbers_now)}({wanted}))")
    else:
        text.add(f"n = {text.name(traced.sole)}()")
        text.add(f"{start}, {', '.join(f'n[{k}]' for k in wanted)})")


def _find_memory(text: Text, k: int, nbytes: int) -> None:
    """Memory for a result. That of the call before the last is taken again if nobody holds it."""
    if nbytes > _SMALL:
        text.add(f"o{k} = Buffer({nbytes})")
        return
    older, newer = text.name(Buffer(nbytes)), text.name(Buffer(nbytes))
    text.moving += [older, newer]
    text.add(
        f"o{k} = {older}",
        f"if getrefcount(o{k}) != {FREE}:",
        f"    o{k} = Buffer({nbytes})",
        f"{older} = {newer}",
        f"{newer} = o{k}",
    )


def _make_tensor(text: Text, k: int, cls: type, f: Any) -> str:
    """A tensor over the memory of result k."""
    form = text.name(f)
    text.add(
        "s = new(Storage)",
        "s.mark = None",
        "s.idx = -1",
        f"s.form = {form}",
        "s.rg = False",
        f"s.buf = o{k}",
        f"r{k} = new({text.name(cls)})",
        f"r{k}.st = s",
        f"r{k}.form = {form}",
    )
    return f"r{k}"


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


def _measure_free() -> int:
    """What getrefcount says in `_find_memory`'s lines of a buffer that nobody else holds."""

    def named(older):
        def short():
            nonlocal older
            out = older
            count = getrefcount(out)
            older = out
            return count

        return short

    return named(Buffer(0))()


COUNTS = _measure_counts()
FREE = _measure_free()
