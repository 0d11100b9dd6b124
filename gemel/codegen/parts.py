"""A module with much code as several, which are compiled at the same time and linked as one.

Role: between the code generator and the compiler. Input: a module, and the functions at which it
may be cut. Output: texts of modules. A part holds some of those functions and what they use; the
last one everything else, with declarations of the functions that were cut off. Nothing but
linkage differs from the whole module, so the machine code is the same. Invariant: how a module is
cut follows from its text alone.
"""

from __future__ import annotations

from gemel.codegen.llvm import Function, Module, names_in

PART = 120_000  # characters of IR that a part has at least
MOST_PARTS = 8


def module_texts(module: Module, heads: list[Function]) -> list[str]:
    """The module's text, or the texts of its parts.

    heads   functions of internal linkage that only functions which are no heads call
    """
    texts = {f.name: f.text() for f in heads}
    count = min(MOST_PARTS, sum(map(len, texts.values())) // PART)
    if count < 2:
        return [module.text()]
    helpers = {n: f.text() for n, f in module.functions.items() if n not in texts}
    made = []
    copied: set[str] = set()
    for names in _shares(texts, count):
        seen = {n: texts[n].replace("define internal ", "define ", 1) for n in names}
        held = _with_called(seen, helpers)
        copied |= held.keys()
        made.append(module.text_of(held.values()))
    rest = _with_called({n: t for n, t in helpers.items() if n not in copied}, helpers)
    return [*made, module.text_of([*map(_declaration, heads), *rest.values()])]


def _shares(texts: dict[str, str], count: int) -> list[list[str]]:
    """Names in shares of about the same length: the longest first, each to the shortest share."""
    shares: list[list[str]] = [[] for _ in range(count)]
    lengths = [0] * count
    for name in sorted(texts, key=lambda n: -len(texts[n])):
        least = lengths.index(min(lengths))
        shares[least].append(name)
        lengths[least] += len(texts[name])
    return shares


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
