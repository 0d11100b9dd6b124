"""Casting: the mode in which calls get some of their operands in another element type.

Role: what `torch.autocast` sets. The mode is a transition of the trie, like the grad mode, so that
recording what was seen before costs nothing; a call that is seen first under it is replaced by one
that casts its operands and then is that call. Casts of one value are one node of a program: a
weight is cast once, however often it is used. Input: the rules of a face. Invariant: there is one
`Casting` for each pair of rules and type, so that they compare by identity.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from gemel.graph.form import DType
from gemel.graph.node import Node
from gemel.ops.elementwise import cast
from gemel.ops.record import Call

from .state import MODE
from .tape import LOCAL, Tape

# (the type of the mode, attrs of the call, element types of the floating-point operands) -> what
# these become (None: they stay)
Rule = Callable[[DType, tuple, tuple[DType, ...]], DType | None]


class Casting:
    """dtype    the type that calls of much work compute in
    rules       name of a call -> its rule
    floats      the element types that are cast at all"""

    def __init__(self, dtype: DType, rules: Rules):
        self.dtype = dtype
        self.rules = rules
        self._known: dict[Call, Call] = {}

    def of(self, call):
        """The call to record in place of this one."""
        rule = self.rules.table.get(call.name)
        if rule is None:
            return call
        found = self._known.get(call)
        if found is None:
            found = self._known[call] = CastCall(call, self.dtype, rule, self.rules.floats)
        return found


class Rules:
    """table: name of a call -> rule. floats: element types that are cast at all."""

    def __init__(self, table: dict[str, Rule], floats: tuple[DType, ...]):
        self.table = table
        self.floats = floats


class CastCall(Call):
    """A call whose operands are cast first. The casts round, so they stand before the expansion."""

    __slots__ = ("call", "dtype", "rule", "floats")

    def __init__(self, call: Call, dtype: DType, rule: Rule, floats: tuple[DType, ...]):
        super().__init__(call.name, call.expand, call.differentiable)
        self.call = call
        self.dtype = dtype
        self.rule = rule
        self.floats = floats

    def expand(self, attrs: tuple, *nodes: Node):
        kinds = tuple(n.dtype for n in nodes if n.dtype in self.floats)
        to = self.rule(self.dtype, attrs, kinds) if kinds else None
        if to is not None:
            nodes = tuple(cast(n, to) if n.dtype in self.floats else n for n in nodes)
        return self.call.expand(attrs, *nodes)


@cache
def casting(dtype: DType, rules: Rules) -> Casting:
    """The one mode of this type and these rules."""
    return Casting(dtype, rules)


def current_casting() -> Casting | None:
    """This thread's mode."""
    return LOCAL.tape.casting


def set_casting(mode: Casting | None) -> Casting | None:
    """Record in this mode from here on (None: calls as they are); returns what was set before."""
    tape = LOCAL.tape
    before = tape.casting
    if before is not mode:
        tape.casting = mode
        _toggle(tape, mode)
    return before


def _toggle(tape: Tape, mode: Casting | None) -> None:
    at = tape.state
    if at.kind == MODE and at.prev.casting is mode and at.prev.ng is at.ng:
        tape.state = at.prev  # an empty block leaves no trace
        return
    tape.state = at.in_casting(mode)
