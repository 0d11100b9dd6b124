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
from operator import le
from typing import Any, NamedTuple

from gemel.codegen.sizes import NeedsConstants, Size, Space, evaluator, is_size
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
from .unknowns import Unknowns, differing, explain

SMALL_ARENA = 1 << 20  # bytes
MOST_TEMPLATES = 6  # of a structure; what meets none of them is compiled with constants


# ---------- templates ----------
class _Rows(NamedTuple):
    """What a template knows of the outlines that it serves.

    sizes      by position, of symbols where they differ
    symbols    positions that the symbols' values are read from
    numbers    positions of the constants that are given
    constants  position -> the text of the others
    """

    sizes: list
    symbols: list[int]
    numbers: list[int]
    constants: dict[int, str]


class Template:
    """Code for all sizes that it matches. `facts`: those of the program, with sizes in them."""

    def __init__(self, facts: dict, rows: _Rows, library: Any):
        self.facts = facts
        self.library = library
        self.unknowns = Unknowns(rows.sizes, rows.symbols, facts["guards"])
        self.numbers, self.constants = rows.numbers, rows.constants
        self.where: list[str] = []  # arguments whose sizes differ; the first operation, if none do
        names = self.unknowns.names
        self._lives = evaluator(names, (_spelled(size) for _, _, size in facts["lives"]))
        late = [*names, *(offset_name(k) for k in range(len(facts["lives"]) + 1))]
        self._arenas: dict[tuple, tuple] = {}  # rounded symbols -> sizes, where each begins, top
        self._texts: list[str] = []
        self._shape = _without_sizes(self._told(), self._texts)
        self._values = evaluator(late, self._texts)

    def _told(self) -> dict:
        hidden = ("guards", "lives")
        return {k: v for k, v in self.facts.items() if k not in hidden}

    def told(self, values: Sequence[int]) -> str:
        """For people: which sizes are arguments, where they are found, and what limits them."""
        rows = zip(self.unknowns.names, values, strict=True)
        given = ", ".join(f"{name} = {n}" for name, n in rows)
        more = len(self.where) - LONGEST
        where = [*self.where[:LONGEST], *[f"{more} more"] * (more > 0)]
        fixed = self.unknowns.fixed()[:LONGEST]
        only = f", only where {' and '.join(fixed)}" if fixed else ""
        return f"sizes are arguments: {given} in {', '.join(where)}{only}"

    def bound(self, seen: Outline) -> tuple[int, ...] | None:
        """The symbols' values, where the template serves the sizes."""
        if any(repr(seen.constants[k]) != text for k, text in self.constants.items()):
            return None
        return self.unknowns.values(seen.sizes)

    def instance(self, values: Sequence[int], seen: Outline) -> dict:
        """The facts of a program for these sizes."""
        starts, top = self._places(values)
        facts = _with_sizes(self._shape, iter(self._values(*values, *starts, top)))
        given = [_word(seen.constants[k]) for k in self.numbers]
        facts["given"] = given + facts["given"][len(given) :]
        return facts

    def _places(self, values: Sequence[int]) -> tuple[list[int], int]:
        """Where the arena's values begin, and where all end. A small arena is planned for sizes a
        little larger, so that one plan serves many."""
        key = tuple([_rounded(n) for n in values])
        known = self._arenas.get(key)
        if known is None:
            room = self._lives(*key)
            known = self._arenas[key] = (room, *self._placed(room))
        room, starts, top = known
        sizes = self._lives(*values)
        if top <= SMALL_ARENA and all(map(le, sizes, room)):
            return starts, top
        return self._placed(sizes)

    def _placed(self, sizes: tuple[int, ...]) -> tuple[list[int], int]:
        rows = zip(self.facts["lives"], sizes, strict=True)
        return offsets([(first, last, size) for (first, last, _), size in rows])


def _rounded(n: int) -> int:
    """Upwards, by an eighth at most."""
    step = 1 << max(n.bit_length() - 4, 0)
    return -(-n // step) * step


def _word(number: float) -> int:
    """A number as the 8 bytes that a program is given."""
    if isinstance(number, float):
        return struct.unpack("<q", struct.pack("<d", number))[0]
    return number


def _spelled(size) -> str:
    return size["size"] if isinstance(size, dict) else repr(size)


def _without_sizes(value: Any, texts: list[str]) -> Any:
    """Sizes taken out, in order: what holds some becomes `_Holding`, all else stays."""
    if isinstance(value, dict):
        if "size" in value and len(value) == 1:
            texts.append(value["size"])
            return _MARK
        items: Any = {k: _without_sizes(v, texts) for k, v in value.items()}
        inside = list(items.values())
    elif isinstance(value, (list, tuple)):
        items = inside = [_without_sizes(v, texts) for v in value]
    else:
        return value
    return _Holding(items) if any(v is _MARK or type(v) is _Holding for v in inside) else items


class _Holding:
    """Something with sizes in it.

    keys   None for a list
    items  as they are without sizes
    at     which of them hold sizes
    """

    __slots__ = ("keys", "items", "at")

    def __init__(self, items: Any):
        self.keys = list(items) if isinstance(items, dict) else None
        self.items = list(items.values()) if isinstance(items, dict) else items
        self.at = [k for k, v in enumerate(self.items) if v is _MARK or type(v) is _Holding]


_MARK = object()


def _with_sizes(value: Any, values: Iterator[int]) -> Any:
    if value is _MARK:
        return next(values)
    if type(value) is not _Holding:
        return value
    items = value.items[:]
    for k in value.at:
        inner = items[k]
        items[k] = next(values) if inner is _MARK else _with_sizes(inner, values)
    return items if value.keys is None else dict(zip(value.keys, items, strict=True))


def written(value: Any) -> Any:
    """Facts as JSON can hold them: a size is its text."""
    if type(value) is Size:
        return {"size": value.text}
    if isinstance(value, dict):
        return {k: written(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [written(v) for v in value]
    return value


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
def known_for(known: Structure, seen: Outline) -> tuple[Any, dict] | None:
    """(library, facts) of an instance of a template that is there; None where none serves it."""
    for template in known.templates:
        values = template.bound(seen)
        if values is not None:
            known.told = template.told(values)
            return template.library, template.instance(values, seen)
    return None


def found(
    known: Structure,
    seen: Outline,
    leaves: list[Node],
    outputs: list[Node],
    updates: dict[int, Node],
    faults: list[tuple],
) -> tuple[Any, dict] | None:
    """(library, facts) of an instance; None where the sizes have to be constants."""
    served = known_for(known, seen)
    if served is not None:
        return served
    try:
        if known.tried >= MOST_TEMPLATES:
            raise NeedsConstants(f"none of {len(known.templates)} programs for many sizes fits")
        known.tried += 1
        made = _made([*known.outlines, seen], len(leaves), outputs, updates, faults)
        if made.unknowns.fixed():
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
    all_sizes = [sizes.get(k, n) for k, n in enumerate(seen[-1].sizes)]
    put = _Sized(iter(all_sizes), _numbered(numbers))
    graph = put.graph(results, {})
    for node in put.all:
        if not _agrees(node):
            raise NeedsConstants(f"{_named(node)} was given sizes that were alike by chance so far")
    rows = _Rows(
        all_sizes,
        symbols,
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
