"""A compiled program: one native call.

The table that it is given (addresses of leaves, outputs and arena, of the thread team where the
program has much work, of what is kept between runs, then the run-time numbers) is packed for each
call, so a program may be called from several threads at once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from struct import Struct
from typing import Any

from . import needs, team
from .buffer import Buffer, Workspace
from .builtins.call import caller
from .host_entry import HOST_CALL, HostCall, part_name
from .kept import Kept

KEPT_ARENA = 1 << 20
SEVERAL = 3  # calls of a program that is worth a quicker way to call it
SHORT_WORK = 20_000.0  # nanoseconds: longer programs run without the interpreter's lock
_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p)


class Program:
    """Native code with its memory plan.

    program(buffers, scalars) -> one Buffer per output, then one entry per update in the order of
    `updates`: None where the new value was written into the leaf's own buffer (`donated`), which
    therefore must be held by nobody else.
    """

    def __init__(self, library, entry: str, facts: dict, faults: list, scalars: str):
        self.library = library  # owns the code
        self._function = _ENTRY(library.address(entry))
        self.facts = facts
        self.hosts = [
            HostCall(call, library.address(part_name(entry, k)))
            for k, call in enumerate(facts["hosts"], 1)
        ]
        self.updates = tuple(facts["updates"])
        self.kernels = facts["kernels"]
        self._faults = faults
        self._out_bytes = facts["out_bytes"]
        self._arena_bytes = facts["arena_bytes"]
        self._results = [tuple(r) for r in facts["results"]]
        self.donated = frozenset(k for kind, k in self._results if kind == "donated")
        self.number_kinds = scalars
        leaves = facts["leaves"]
        self.keeps = bool(facts["kept"])
        self.team: tuple[int, ...] = ()
        if facts["team"]:
            team.reserve(facts["scratch_bytes"])
            self.team = (team.address(),)
        if "given" in facts:  # sizes that the code reads
            self._sizes = (ctypes.c_int64 * (len(facts["given"]) + 1))(*facts["given"])
            self.team += (ctypes.addressof(self._sizes),)
        words = leaves + len(self._out_bytes) + 1 + len(self.team) + self.keeps
        self._pack = Struct(f"{words}Q{scalars}").pack
        self._kinds = [False] * words + [kind == "d" for kind in scalars]
        self._address = library.address(entry)
        self._call: Callable[..., int] | None = None
        self._calls = 0
        plain = [kind == "out" and k == i for i, (kind, k) in enumerate(self._results)]
        self._plain = len(self._out_bytes) if all(plain[: len(self._out_bytes)]) else -1
        self._rest = self._results[max(self._plain, 0) :]
        self._only_donated = self._plain >= 0 and all(k == "donated" for k, _ in self._rest)
        self._nothing = [None] * len(self._rest)
        # a large arena serves whatever program runs next
        self._keeps_arena = self._arena_bytes <= KEPT_ARENA
        self._workspace = Buffer if self._keeps_arena else Workspace
        self._arenas: list[Buffer] = []  # idle ones; two threads in one program have one each
        self._kept: list[Kept] = []  # likewise
        self._large = self._arena_bytes + sum(self._out_bytes) >= needs.LARGE
        needs.check(facts)

    def __call__(self, buffers: list[Buffer], scalars: list) -> list[Buffer | None]:
        if self._large:
            needs.check(self.facts)
        outs = [Buffer(n) for n in self._out_bytes]
        arena = self._arenas.pop() if self._arenas else self._workspace(self._arena_bytes)
        kept = self.take_kept() if self.keeps else None
        if kept is not None:
            kept.look(buffers)
        words = self.words(buffers, outs, arena, kept)
        code = self._enter(*words, *scalars) if self._call is None else self._call(*words, *scalars)
        if code:
            table = self.table(buffers, outs, arena, kept, scalars)
            self.resume(code, self._function, table, arena)
        if kept is not None:
            self.give_kept(kept)
        if self._keeps_arena:
            self._arenas.append(arena)
        if self._only_donated:
            return outs + self._nothing
        return [self._result(kind, k, buffers, outs) for kind, k in self._results]

    def _enter(self, *words) -> int:
        """One of the first calls, or any where the interpreter has no quicker ones."""
        self._calls += 1
        if self._calls == SEVERAL:
            work = sum(kernel["work"] for kernel in self.kernels)
            places = list(enumerate(self._kinds))
            self._call = caller(self._address, 0, places, work > SHORT_WORK)
        return self._function(self._pack(*words))

    def table(
        self, buffers: list[Buffer], outs: list[Buffer], arena: Buffer, kept: Kept | None, scalars
    ) -> bytes:
        """What the native code is given. kept: of `take_kept` where the program `keeps`."""
        return self._pack(*self.words(buffers, outs, arena, kept), *scalars)

    def words(self, buffers: list[Buffer], outs: list[Buffer], arena: Buffer, kept) -> list[int]:
        """The addresses in the table, in order."""
        found = [b.address for b in buffers]
        found += [b.address for b in outs]
        found.append(arena.address)
        found += self.team
        if kept is not None:
            found.append(kept.address)
        return found

    def take_kept(self) -> Kept:
        """The memory kept between runs, for one run at a time."""
        kept = self._kept.pop() if self._kept else Kept(self.facts["kept"])
        kept.take()
        return kept

    def give_kept(self, kept: Kept) -> None:
        kept.used = False
        self._kept.append(kept)

    def _result(self, kind: str, k: int, buffers, outs):
        if kind == "out":
            return outs[k]
        return buffers[k] if kind == "leaf" else None

    def resume(self, code: int, enter: Callable, table: Any, arena: Buffer) -> None:
        """After a call that did not answer 0: run the function that the program waits for and go
        on behind it; enter again with threads where there were none; raise the error of a check
        that failed."""
        while code == team.NOT_STARTED or code >= HOST_CALL:
            if code >= HOST_CALL:
                call = self.hosts[code - HOST_CALL]
                call.run(table)
                enter = call.enter
            else:
                team.start()
            code = enter(table)
        if code:
            value = ctypes.c_int64.from_address(arena.address + 8).value
            fault, where = self._faults[code - 1]
            raise fault.error(value, where)
