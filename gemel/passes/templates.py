"""Programs that serve many sizes: at the second different value in a place, a size is an argument.

Role: between a graph that no cache knows and the compiler. Graphs that differ in sizes only (what
shapes, slices and the like hold, and constants that follow from them) are one *structure*. The
first graph of a structure is compiled with its sizes as constants. For the second one a *template*
is made: what differs becomes symbols, and the passes and the code generator run once over a graph
of `Size`s. From then on a graph of the structure is an *instance*: the symbols' values are read off
it, all its other sizes have to be what the template says, and the guards of the code must hold;
then it has its table of sizes and a memory plan of its own, and the template's code.

Invariant: an instance computes what a program of its own would; a template that cannot promise that
does not match, and another one is made.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement
from math import prod
from typing import Any, NamedTuple

from gemel.codegen.sizes import LEAST, NeedsConstants, Size, Space, evaluator, is_size
from gemel.graph.body import Body
from gemel.graph.errors import ShapeError
from gemel.graph.form import Form, form
from gemel.graph.node import Node, order, recorded_at
from gemel.graph.printer import show
from gemel.ops.elementwise import CAST
from gemel.ops.loops import LOOP, RESULT, Turns
from gemel.ops.record import CONST, LEAF, SCALAR, SCALAR_FORMS, leaf
from gemel.runtime import jit, object_cache
from gemel.runtime.host_entry import part_names

from .compiles import LONGEST
from .memory import offset_name, offsets
from .outlines import PLAIN, Outline, Structure, has_sizes

MOST_TEMPLATES = 6  # of a structure; what meets none of them is compiled with constants
NEAR = 8  # a size may be another one and so much more or less


# ---------- templates ----------
class _Rows(NamedTuple):
    """What a template knows of the outlines that it serves.

    symbols    positions that the symbols' values are read from
    explained  position -> the text of its size
    same       position -> the size that it has in all of them
    numbers    positions of the constants that are given
    constants  position -> the text of the others
    """

    symbols: list[int]
    explained: dict[int, str]
    same: dict[int, int]
    numbers: list[int]
    constants: dict[int, str]


class Template:
    """Code for all sizes that it matches. `facts`: those of the program, with sizes in them."""

    def __init__(self, facts: dict, rows: _Rows, library: Any):
        self.facts = facts
        self.library = library
        self.symbols, self.explained, self.same, self.numbers, self.constants = rows
        self.where: list[str] = []  # arguments whose sizes differ; the first operation, if none do
        self.names = names = [f"s{k}" for k in range(len(self.symbols))]
        self._expected = evaluator(names, self.explained.values())
        self._guards = evaluator(names, facts["guards"])
        self._lives = evaluator(names, (_spelled(size) for _, _, size in facts["lives"]))
        late = [*names, *(offset_name(k) for k in range(len(facts["lives"]) + 1))]
        self._texts: list[str] = []
        self._shape = _without_sizes(self._told(), self._texts)
        self._values = evaluator(late, self._texts)

    def _told(self) -> dict:
        hidden = ("guards", "lives")
        return {k: v for k, v in self.facts.items() if k not in hidden}

    def fixed(self) -> list[str]:
        """Guards that leave a size no choice."""
        guards = self.facts["guards"]
        return [g for g in guards if " == " in g and not g.startswith("not")]

    def told(self, values: list[int]) -> str:
        """For people: which sizes are arguments, where they are found, and what limits them."""
        given = ", ".join(f"{name} = {n}" for name, n in zip(self.names, values, strict=True))
        more = len(self.where) - LONGEST
        where = [*self.where[:LONGEST], *[f"{more} more"] * (more > 0)]
        only = f", only where {' and '.join(self.fixed()[:LONGEST])}" if self.fixed() else ""
        return f"sizes are arguments: {given} in {', '.join(where)}{only}"

    def bound(self, seen: Outline) -> list[int] | None:
        """The symbols' values, where the template serves the sizes."""
        sizes = seen.sizes
        if any(sizes[k] != n for k, n in self.same.items()):
            return None
        if any(repr(seen.constants[k]) != text for k, text in self.constants.items()):
            return None
        values = [sizes[k] for k in self.symbols]
        if min(values) < LEAST or not all(self._guards(*values)):
            return None
        expected = self._expected(*values)
        found = tuple(sizes[k] for k in self.explained)
        return values if expected == found else None

    def instance(self, values: list[int], seen: Outline) -> dict:
        """The facts of a program for these sizes."""
        rows = zip(self.facts["lives"], self._lives(*values), strict=True)
        starts, top = offsets([(first, last, size) for (first, last, _), size in rows])
        facts = _with_sizes(self._shape, iter(self._values(*values, *starts, top)))
        given = [_word(seen.constants[k]) for k in self.numbers]
        facts["given"] = given + facts["given"][len(given) :]
        return facts


def _word(number: float) -> int:
    """A number as the 8 bytes that a program is given."""
    if isinstance(number, float):
        return struct.unpack("<q", struct.pack("<d", number))[0]
    return number


def _spelled(size) -> str:
    return size["size"] if isinstance(size, dict) else repr(size)


def _without_sizes(value: Any, texts: list[str]) -> Any:
    """Sizes taken out, in order, and marked."""
    if isinstance(value, dict):
        if "size" in value and len(value) == 1:
            texts.append(value["size"])
            return _MARK
        return {k: _without_sizes(v, texts) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_sizes(v, texts) for v in value]
    return value


_MARK = object()


def _with_sizes(value: Any, values: Iterator[int]) -> Any:
    if value is _MARK:
        return next(values)
    if isinstance(value, dict):
        return {k: _with_sizes(v, values) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_sizes(v, values) for v in value]
    return value


def written(value: Any) -> Any:
    """Facts as JSON can hold them: a size is its text."""
    if type(value) is Size:
        return {"size": value.text}
    if isinstance(value, dict):
        return {k: written(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [written(v) for v in value]
    return value


# ---------- what differs, explained ----------
def differing(seen: list[Outline]) -> tuple[list[int], list[int]]:
    """Positions of the sizes and of the constants that are not the same in all graphs."""
    columns = enumerate(zip(*(s.sizes for s in seen), strict=True))
    sizes = [k for k, column in columns if len(set(column)) > 1]
    rows = enumerate(zip(*(s.constants for s in seen), strict=True))
    return sizes, [k for k, row in rows if len(set(map(repr, row))) > 1]


def explain(space: Space, seen: list[Outline], places: list[int]) -> tuple[dict, list[int]]:
    """(position -> size, positions of the symbols): each size that differs as a symbol or by way
    of others, the smallest first. The last graph gives the hints."""
    columns = {k: tuple(s.sizes[k] for s in seen) for k in places}
    fresh = seen[0].fresh
    known: dict[tuple, Any] = {}
    symbols: list[int] = []
    bases: list[tuple[tuple, Any]] = []
    for k in sorted(places, key=lambda k: (columns[k], not fresh[k])):
        column = columns[k]
        if column in known:
            continue
        size = _by_products(column, bases, near=not fresh[k])
        if size is None:
            size = space.symbol(f"s{len(symbols)}", column[-1])
            symbols.append(k)
            bases.append((column, size))
        known[column] = size
    return {k: known[columns[k]] for k in places}, symbols


def _by_products(column: tuple, bases: list, near: bool) -> Any:
    """A multiple of a product of up to three symbols, or something near one."""
    for count in (1, 2, 3):
        for chosen in combinations_with_replacement(bases, count):
            base = [prod(row) for row in zip(*(c for c, _ in chosen), strict=True)]
            whole = prod(size for _, size in chosen)
            factor, apart = column[0] // base[0], column[0] - base[0]
            if column == tuple(factor * b for b in base):
                return whole * factor
            if near and abs(apart) <= NEAR and column == tuple(b + apart for b in base):
                return whole + apart
    return _by_line(column, bases) if near else None


def _by_line(column: tuple, bases: list) -> Any:
    """So many times a product of symbols, and a constant more."""
    for count in (1, 2, 3):
        for chosen in combinations_with_replacement(bases, count):
            base = [prod(row) for row in zip(*(c for c, _ in chosen), strict=True)]
            run, rise = base[-1] - base[0], column[-1] - column[0]
            factor = rise // run if run else 0
            rest = column[0] - factor * base[0]
            if 0 < factor and 0 < rest and column == tuple(factor * b + rest for b in base):
                return prod(size for _, size in chosen) * factor + rest
    return None


# ---------- the graph of a template ----------
class _Sized:
    """Puts sizes back into a graph, in the order in which its outline took them.

    numbers   number of a constant -> its place among those that are given
    all       every node that was made
    """

    def __init__(self, sizes: Iterator, numbers: dict[int, int]):
        self.sizes = sizes
        self.numbers = numbers
        self.constants = 0
        self.all: list[Node] = []

    def graph(self, results: Sequence[Node], made: dict[Node, Node]) -> dict[Node, Node]:
        """Node -> the node of the template; `made` is filled."""
        for node in order(results):
            if node not in made:
                with recorded_at(node.where):
                    made[node] = self._node(node, tuple(made[a] for a in node.args))
                self.all.append(made[node])
        return made

    def _value(self, value: Any) -> Any:
        if type(value) is int and value not in PLAIN:
            return next(self.sizes)
        if isinstance(value, Form):
            shape = self._value(value.shape)
            return value if shape == value.shape else form(shape, value.dtype)
        if isinstance(value, tuple):
            items = [self._value(v) for v in value]
            return value._make(items) if hasattr(value, "_make") else tuple(items)
        return value

    def _node(self, node: Node, args: tuple[Node, ...]) -> Node:
        if node.op is CONST and node.dtype.kind in "fiu":
            self.constants += 1
            position = self.numbers.get(self.constants - 1)
            return node if position is None else given_number(position, node)
        if node.op is LEAF:
            made = self._value(node.form)
            return Node(LEAF, (node.attrs[0], made), (), made)
        if node.op is LOOP:
            return Node(LOOP, self._loop(*node.attrs), args, node.form)
        if node.op is RESULT:
            made = self._value(node.form)
            return Node(RESULT, (*node.attrs[:2], made), args, made)
        attrs = self._value(node.attrs) if has_sizes(node) else node.attrs
        made = self._value(node.form)
        return node if node.op is SCALAR else Node(node.op, attrs, args, made)

    def _loop(self, body: Body, turns: Turns) -> tuple[Body, Turns]:
        steps = self._value(turns.steps)
        forms = [self._value(node.form) for node in body.inputs]
        inputs = [leaf(k, f) for k, f in enumerate(forms)]
        made = self.graph(body.results, dict(zip(body.inputs, inputs, strict=True)))
        results = tuple(made[r] for r in body.results)
        return Body(tuple(inputs), results), turns._replace(steps=steps)


def given_number(position: int, node: Node) -> Node:
    """A constant that each instance has its own of."""
    kind = float if node.dtype.kind == "f" else int
    f = SCALAR_FORMS[kind]
    number = Node(SCALAR, (-1 - position, f), (), f)
    return number if node.dtype is f.dtype else CAST(number, attrs=(node.dtype,))


def _agrees(node: Node) -> bool:
    """Do the sizes belong together for all values of the symbols? Where they were alike by chance,
    the next graph tells more."""
    if node.op.name == "reshape":
        return node.form.size == node.args[0].form.size
    if node.op.kind != "elementwise":
        return True
    dims = ((a.shape[-k], node.shape[-k]) for a in node.args for k in range(1, a.ndim + 1))
    return all(n == m or n == 1 for n, m in dims)


# ---------- finding and making ----------
def found(
    known: Structure,
    seen: Outline,
    leaves: list[Node],
    outputs: list[Node],
    updates: dict[int, Node],
    faults: list[tuple],
) -> tuple[Any, dict] | None:
    """(library, facts) of an instance; None where the sizes have to be constants."""
    for template in known.templates:
        values = template.bound(seen)
        if values is not None:
            known.told = template.told(values)
            return template.library, template.instance(values, seen)
    try:
        if known.tried >= MOST_TEMPLATES:
            raise NeedsConstants(f"none of {len(known.templates)} programs for many sizes fits")
        known.tried += 1
        made = _made([*known.outlines, seen], len(leaves), outputs, updates, faults)
        if made.fixed():
            known.tried = MOST_TEMPLATES  # something in it needs constants
        known.templates.insert(0, made)
        values = made.bound(seen)
        if values is None:
            raise NeedsConstants("the program for many sizes does not hold for these")
    except (NeedsConstants, ShapeError) as why:
        known.told = f"sizes are constants: {why}"
        return None
    known.told = made.told(values)
    return made.library, made.instance(values, seen)


def _made(seen: list[Outline], leaves: int, outputs, updates, faults) -> Template:
    """Raises NeedsConstants where there is no code yet; ShapeError where the sizes agree in the
    graphs that were seen alone."""
    from .native import ENTRY
    from .pipeline import build

    space = Space()
    places, numbers = differing(seen)
    sizes, symbols = explain(space, seen, places)
    if not symbols:
        raise NeedsConstants("none of them differs, but a constant that is no size does")
    space.numbers = len(numbers)
    results = [*outputs, *updates.values()]
    put = _Sized((sizes.get(k, n) for k, n in enumerate(seen[-1].sizes)), _numbered(numbers))
    graph = put.graph(results, {})
    for node in put.all:
        if not _agrees(node):
            raise NeedsConstants(f"{_named(node)} was given sizes that were alike by chance so far")
    rows = _Rows(
        symbols,
        {k: size.text for k, size in sizes.items()},
        {k: n for k, n in enumerate(seen[-1].sizes) if k not in sizes},
        numbers,
        {k: repr(c) for k, c in enumerate(seen[-1].constants) if k not in set(numbers)},
    )
    text = f"{seen[-1].structure}\n{show([graph[n] for n in results], lines=False)}"

    def made() -> tuple[dict, bytes]:
        new_updates = {k: graph[n] for k, n in updates.items()}
        new_outputs = [graph[n] for n in outputs]
        facts, image = build(ENTRY, leaves, new_outputs, new_updates, faults, space=space)
        return written(facts), image

    template = _kept(text, rows, seen[-1], made)
    varying = [n for n in put.all if any(map(is_size, n.form.shape))]
    template.where = [f"argument {n.attrs[0]} {n.form}" for n in varying if n.op is LEAF]
    template.where = template.where or [f"{_named(n)} {n.form}" for n in varying[:1]]
    return template


def _named(node: Node) -> str:
    """An operation with its line, for people."""
    place = f" in {os.path.basename(node.where[0])}:{node.where[1]}" if node.where else ""
    return f"{node.op.name}{place}"


def _kept(text: str, rows: _Rows, seen: Outline, made: Callable) -> Template:
    """From disk, where one for such sizes lies there; else built, and kept there."""
    from .native import ENTRY

    for variant in range(MOST_TEMPLATES):
        key = hashlib.sha256(f"{text}\nvariant {variant}".encode()).hexdigest()
        entry = object_cache.lookup(key)
        facts, image = entry or made()
        library = jit.load_object(image, part_names(ENTRY, facts), facts["objects"])
        template = Template(facts, rows, library)
        if entry is None:
            object_cache.store(key, facts, image)
            return template
        if template.bound(seen) is not None:
            return template
    raise NeedsConstants(f"none of {MOST_TEMPLATES} programs on disk for many sizes fits")


def _numbered(places: list[int]) -> dict[int, int]:
    return {k: position for position, k in enumerate(places)}
