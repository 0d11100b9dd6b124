"""What `torch.compile` asks of a call before a record's short way is taken.

In: the record's arguments, conditions and outside variables. Out: a `Front`, whose lines become
part of the record's short way. They ask for the very objects of the last call; equal ones go the
longer way once, which then knows them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gemel.runtime.builtins.instances import place
from gemel.tensor.direct import Conditions
from gemel.tensor.straight import Front, Text
from gemel.tensor.tape import LOCAL

from .guards import MODES


class Pick:
    """One of the computed tensors is the function's whole result, or a part of it."""

    __slots__ = ("at",)

    def __init__(self, at: int):
        self.at = at

    def __call__(self, values, given):
        return values[self.at]


class RecordFront(Front):
    """To be made before the function is recorded, for the arguments as they are then.

    grad       was the grad mode on
    casting    the mode that casts operands
    checks     closures that must all be true
    modes      MODES.changes when modules and storages were last looked at
    outside    the variables that the function names
    rebuild    (results, arguments) -> the function's own result"""

    __slots__ = ("modes", "casting")

    def __init__(self, arguments, grad: bool, outside):
        # the arguments themselves are not kept: their memory would be, too
        self.classes = [type(t) for t in arguments]
        self.tracked = [needs_gradient(t) for t in arguments]
        self.grad = grad
        self.casting = LOCAL.tape.casting
        self.checks: list[Callable[[], bool]] = []
        self.modes = MODES.changes
        self.outside = outside
        self.rebuild: Any = None

    def kinds(self, text: Text) -> list[str]:
        return [f"t{k}.__class__ is {text.name(cls)}" for k, cls in enumerate(self.classes)]

    def conditions(self, text: Text) -> list[str]:
        found = [f"tape.grad is {self.grad}", f"tape.casting is {text.name(self.casting)}"]
        for k, tracked in enumerate(self.tracked):
            wanted = "" if tracked else "not "
            found.append(f"{wanted}(t{k}.lrg or s{k}.rg or s{k}.hist is not None)")
        found.append(f"{text.name(MODES)}.changes == {text.name(self)}.modes")
        same = self.outside.conditions(text)
        if same:  # a variable may have been deleted by now
            text.add("try:", f"    same = {' and '.join(same)}")
            text.add("except (KeyError, ValueError):", "    return MISSED")
            found.append("same")
        return [*found, *[f"{text.name(check)}()" for check in self.checks]]

    def asked(self) -> Conditions | None:
        """The same as `kinds` and `conditions`, of calls that need no Python; None where the
        arguments have gradients or the result is more than one of the computed tensors."""
        if self.casting is not None:
            return None
        if any(self.tracked) or type(self.rebuild) is not Pick or LOCAL.tape.grad is not self.grad:
            return None
        asked = Conditions()
        asked.classes = self.classes
        asked.pairs.append((place(MODES, "changes"), place(self, "modes")))
        asked.checks = self.checks
        asked.held += [self, *self.checks]
        return asked if self.outside.ask(asked) else None

    def result(self, text: Text, outs: list[str]) -> str:
        if type(self.rebuild) is Pick:
            return outs[self.rebuild.at]
        return f"{text.name(self.rebuild)}([{', '.join(outs)}], tensors)"


def needs_gradient(t) -> bool:
    """Do gradients flow to this tensor?"""
    st = t.st
    return t.lrg or st.rg or st.hist is not None
