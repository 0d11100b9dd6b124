"""A module with much code as several, which are compiled at the same time and linked as one.

Role: between the code generator and the compiler. Input: a module, its heads (functions at which it
may be cut: the code of kernels), and which heads are compiled already. Output: parts. A part holds
some of the other heads and what they use; the last one everything else, with declarations of the
heads. Nothing but linkage differs from the whole module, so the machine code is the same.

A head is exported by a name that is made of its text and of all that it uses: heads of two programs
that have the same name are the same, and need one object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from gemel.codegen.llvm import Function, Module, names_in, renamed

PART = 120_000  # characters of IR that a part has at least
MOST_PARTS = 8
LEAST = 40_000  # characters of heads that are worth a part of their own
_DIGITS = 24  # of a name


class Part(NamedTuple):
    """text   of a module
    heads  those that it exports: how many characters each has"""

    text: str
    heads: dict[str, int]


def cut(
    module: Module, heads: list[Function], known: Callable[[dict[str, int]], Iterable[str]]
) -> list[Part]:
    """The module's parts.

    heads   functions of internal linkage that only functions which are no heads call
    known   of the names and lengths of heads, the names that need no compiling
    """
    texts = {f.name: f.text() for f in heads}
    if sum(map(len, texts.values())) < LEAST:
        return [Part(module.text(), {})]
    helpers = {n: f.text() for n, f in module.functions.items() if n not in texts}
    held = {n: _with_called({n: text}, helpers) for n, text in texts.items()}
    names = {n: _name(module, n, functions) for n, functions in held.items()}
    lengths = {names[n]: len(text) for n, text in texts.items()}
    done = set(known(lengths))
    missing = {names[n]: n for n in texts if names[n] not in done}
    count = max(sum(lengths[name] for name in missing) // PART, 1)
    made = []
    for share in _shares({name: lengths[name] for name in missing}, min(count, MOST_PARTS)):
        functions: dict[str, str] = {}
        for name in share:
            functions |= _exported(missing[name], name, held[missing[name]])
        made.append(Part(module.text_of(functions.values()), {n: lengths[n] for n in share}))
    return [*made, Part(_rest(module, heads, helpers, held, names), {})]


def _rest(module: Module, heads: list[Function], helpers, held, names: dict[str, str]) -> str:
    """What no head uses, and what that uses, with the heads declared."""
    used = {n for functions in held.values() for n in functions}
    rest = _with_called({n: t for n, t in helpers.items() if n not in used}, helpers)
    declared = dict.fromkeys(renamed(_declaration(f), names) for f in heads)
    return module.text_of([*declared, *(renamed(t, names) for t in rest.values())], names)


def _name(module: Module, head: str, functions: dict[str, str]) -> str:
    """What the head is, whatever its name in this module is."""
    body = _exported(head, "head", functions)
    digest = hashlib.sha256(module.text_of(body.values()).encode())
    return f"kernel_{digest.hexdigest()[:_DIGITS]}"


def _exported(head: str, name: str, functions: dict[str, str]) -> dict[str, str]:
    """A head and what it calls, by their names from now on: helpers of its own begin with its."""
    own = {n: name + n[len(head) :] for n in functions if n == head or n.startswith(f"{head}_")}
    made = {own.get(n, n): renamed(text, own) for n, text in functions.items()}
    # the same head may come in several objects that are linked: any of them will do
    made[name] = made[name].replace("define internal ", "define weak_odr ", 1)
    return made


def _shares(lengths: dict[str, int], count: int) -> list[list[str]]:
    """Names in shares of about the same length: the longest first, each to the shortest share."""
    shares: list[list[str]] = [[] for _ in range(count)]
    filled = [0] * count
    for name in sorted(lengths, key=lambda n: -lengths[n]):
        least = filled.index(min(filled))
        shares[least].append(name)
        filled[least] += lengths[name]
    return [share for share in shares if share]


def _with_called(texts: dict[str, str], helpers: dict[str, str]) -> dict[str, str]:
    """The functions with copies of the helpers that they call."""
    made = dict(texts)
    waiting = list(texts)
    while waiting:
        for name in names_in(made[waiting.pop()]):
            if name in helpers and name not in made:
                made[name] = helpers[name]
                waiting.append(name)
    return made


def _declaration(f: Function) -> str:
    types = ", ".join(str(x.type) for x in f.arguments)
    return f"declare {f.result} @{f.name}({types})"
