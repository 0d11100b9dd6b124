"""Pieces of a loop's step for the thread team.

A loop is one piece of a program: the thread that runs it lets the team at stages of several pieces
(`share` of `runtime.team_code`). What they are given lies in a record: the address of a function
that unpacks it, then the arguments that all pieces have in common.

At the start of the arena, behind the fault, lie the team's address and that of the table.
"""

from __future__ import annotations

from gemel.codegen.faults import FAULT_BYTES
from gemel.codegen.llvm import I64, POINTER, Function, Operand, Value
from gemel.runtime.team_code import SHARE

_TEAM, _TABLE = 4, 5  # words
assert 8 * (_TABLE + 1) <= FAULT_BYTES


def note_team(f: Function, arena: Value, team: Value, table: Value) -> None:
    """Say whose threads they are that run the program, and which of its runs this is."""
    f.store(team, f.gep(arena, _TEAM, "i64"))
    f.store(table, f.gep(arena, _TABLE, "i64"))


class Sharing:
    """Stages for the team. arena: of the program; scratch: of the running thread; wake: may members
    sleep when they are wanted?"""

    def __init__(self, f: Function, arena: Value, scratch: Value, wake: bool):
        self.f = f
        self.arena = arena
        self.scratch = scratch
        self.wake = wake

    def run(self, callee: Function, pieces: Operand, given: list[Value]) -> None:
        """Every piece of a stage. given: the callee's arguments but for scratch and piece, in
        order."""
        f = self.f
        entered = _entered(callee)
        record = f.alloca("ptr", 1 + len(given))
        for k, x in enumerate([Value(f, f"@{entered.name}", POINTER), *given]):
            f.store(x, f.gep(record, k, "ptr"))
        team, table = (f.load(f.gep(self.arena, k, "i64"), "ptr") for k in (_TEAM, _TABLE))
        share = f.load(f.gep(team, SHARE, "i8"), "ptr")
        members = f.sub(pieces, 1) if self.wake else 0
        counts = f.lift(pieces, I64), f.lift(members, I64)
        f.call_pointer(share, "void", team, table, record, *counts, self.scratch)


def _entered(callee: Function) -> Function:
    """What the team calls for a piece of the callee."""
    module, name = callee.module, f"{callee.name}_piece"
    if name in module.functions:
        return module.functions[name]
    kinds = [("ptr", "table"), ("i64", "piece"), ("ptr", "scratch"), ("ptr", "record")]
    f = module.function(name, kinds, internal=True)
    _, piece, scratch, record = f.arguments
    own = {"%piece": piece, "%scratch": scratch}
    given, at = [], 1
    for argument in map(str, callee.arguments):
        given.append(own.get(argument) or f.load(f.gep(record, at, "ptr"), "ptr"))
        at += argument not in own
    f.call(callee, *given)
    f.ret()
    return f
