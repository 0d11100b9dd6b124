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
from gemel.runtime.builtins.call import caller
from gemel.runtime.builtins.direct_call import Words
from gemel.runtime.native_call import entry_address
from gemel.runtime.program import SHORT_WORK

from .arrays import evaluated
from .flush import flush
from .state import ROOT_NO_GRAD
from .storage import Storage
from .tape import LOCAL, SEVERAL
from .tensor import new
from .unchanged import look

MISSED = object()
_SMALL = 1 << 17  # bytes of a result whose memory is kept for the calls to come
_USED = {
    "LOCAL": LOCAL, "SEVERAL": SEVERAL, "ROOT_NO_GRAD": ROOT_NO_GRAD, "MISSED": MISSED,
    "DEVICE": DEVICE, "getrefcount": getrefcount, "sum": sum, "map": map, "len": len,
    "flush": flush, "evaluated": evaluated, "Buffer": Buffer,
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

    def asked(self) -> Any:
        """The conditions in words, see `direct`; None where there are no such calls."""
        return None

    def result(self, text: Text, outs: list[str]) -> str:
        """The expression of the call's result."""
        return f"[{', '.join(outs)}]"


class Gate:
    """busy: is a call under way;  shut: are the addresses void;  short: calls of the short way
    direct: the plan of direct calls, or None"""

    __slots__ = ("busy", "shut", "short", "direct")

    def __init__(self):
        self.busy = self.shut = False
        self.short = 0
        self.direct: Words | None = None

    @property
    def served(self) -> int:
        """Calls up to now."""
        return self.short + (0 if self.direct is None else self.direct["served"])


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
    _ask(text, steady, gate, front)
    filled = _find_inputs(text, steady)
    look(text, steady)
    text.add(f"{gate}.busy = True", "try:")
    outer, text.lines = text.lines, []
    words = _numbers(text, steady)
    words += [(at, address, False) for at, address in filled]
    for k, (at, nbytes) in enumerate(steady.outputs):
        _find_memory(text, k, nbytes)
        words.append((at, f"o{k}.address", False))
    _enter(text, steady, words)
    text.lines = outer + [f"    {line}" for line in text.lines]
    text.add("finally:", f"    {gate}.busy = False")
    text.add(f"{gate}.short += 1")
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


def _put_back(text: Text, steady: Any) -> None:
    """The parameters hold their gradients, where they were made to forget them."""
    deposits = steady.traced.deposits
    if deposits:
        text.add("if forgotten:")
        text.add(*[f"    {text.name(p)}.grad = {text.name(g)}" for p, g in deposits])


def _numbers(text: Text, steady: Any) -> list[tuple[int, str, bool]]:
    """Ask for the run-time numbers: (place, expression, is it a float) of each."""
    traced = steady.traced
    wanted = steady.plan.numbers
    if not wanted and not traced.replayed:
        return []
    if traced.sole is None:
        text.add(f"n = {text.name(traced.numbers_now)}({wanted})")
        wanted = range(len(wanted))
    else:
        text.add(f"n = {text.name(traced.sole)}()")
    kinds = enumerate(zip(wanted, steady.number_kinds, strict=True), steady.numbers_at)
    return [(at, f"n[{k}]", kind == "d") for at, (k, kind) in kinds]


def _enter(text: Text, steady: Any, words: list[tuple[int, str, bool]]) -> None:
    """Fill the table and run the program; `words`: (place, expression, is it a float)."""
    address, enter = text.name(steady.address), text.name(steady.enter)
    places = [(at, real) for at, _, real in words]
    work = sum(kernel["work"] for kernel in steady.program.kernels)
    call = caller(entry_address(steady.program), steady.address, places, work > SHORT_WORK)
    if call is not None:
        text.add(f"code = {text.name(call)}({', '.join(word for _, word, _ in words)})")
    else:
        table, reals = text.name(steady.table), text.name(steady.reals)
        text.add(*[f"{reals if real else table}[{at}] = {word}" for at, word, real in words])
        text.add(f"code = {enter}({address})")
    resume, arena = text.name(steady.program.resume), text.name(steady.arena)
    text.add("if code:", f"    {resume}(code, {enter}, {address}, {arena})")


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


FREE = _measure_free()
