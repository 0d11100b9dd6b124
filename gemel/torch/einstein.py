"""`einsum`: an equation to contractions, two operands at a time from the left."""

from __future__ import annotations

from gemel.graph.node import Node
from gemel.ops.contraction import contract
from gemel.ops.movement import expand as expand_to
from gemel.ops.movement import permute
from gemel.ops.ordering import take_diagonal
from gemel.ops.reduction import sum_

from .promotion import promoted

_DOTS = "..."


def _split(equation: str, count: int) -> tuple[list[str], str | None]:
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != count:
        more = "more" if len(terms) < count else "fewer"
        raise RuntimeError(
            f"einsum(): {more} operands were provided than specified in the equation"
        )
    for c in left.replace(_DOTS, "").replace(",", "") + right.replace(_DOTS, ""):
        if not c.isalpha():
            raise RuntimeError(f"einsum(): invalid subscript given at index: {c!r}")
    return terms, right if arrow else None


def _labels(term: str, number: int, x: Node) -> list:
    """One label per axis; the axes of an ellipsis are labelled -1, -2, ... from the right."""
    named = term.replace(_DOTS, "")
    free = x.ndim - len(named)
    if _DOTS not in term:
        if free:
            raise RuntimeError(
                "einsum(): the number of subscripts in the equation "
                f"({len(named)}) does not match the number of dimensions ({x.ndim}) for operand "
                f"{number} and no ellipsis was given"
            )
        return list(term)
    if free < 0:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({len(named)}) is more than the "
            f"number of dimensions ({x.ndim}) for operand {number}"
        )
    before, _, after = term.partition(_DOTS)
    return [*before, *range(-free, 0), *after]


def _check_sizes(labels: list[list], operands) -> dict:
    sizes: dict = {}
    for number, (names, x) in enumerate(zip(labels, operands, strict=True)):
        for name, n in zip(names, x.shape, strict=True):
            if sizes.get(name, 1) == 1:
                sizes[name] = n
            elif n not in (1, sizes[name]):
                raise RuntimeError(
                    f"einsum(): subscript {name} has size {n} for operand {number} which does not "
                    f"broadcast with previously seen size {sizes[name]}"
                )
    return sizes


def _output(right: str | None, labels: list[list]) -> list:
    dots = sorted({name for names in labels for name in names if isinstance(name, int)})
    if right is None:
        counts: dict = {}
        for names in labels:
            for name in names:
                counts[name] = counts.get(name, 0) + 1
        return dots + sorted(n for n, c in counts.items() if c == 1 and isinstance(n, str))
    before, found, after = right.partition(_DOTS)
    for name in before + after:
        if not any(name in names for names in labels):
            raise RuntimeError(
                f"einsum(): output subscript {name} does not appear in the equation for any input "
                "operand"
            )
    return [*before, *(dots if found else ()), *after]


def _plain(x: Node, names: list, sizes: dict, keep: set) -> tuple[Node, list]:
    """Repeated labels become diagonals, broadcast axes are expanded, lone ones are summed."""
    while len(set(names)) < len(names):
        name = next(n for n in names if names.count(n) > 1)
        first = names.index(name)
        second = names.index(name, first + 1)
        x = take_diagonal(x, first, second)
        names = [n for i, n in enumerate(names) if i not in (first, second)] + [name]
    x = expand_to(x, tuple(sizes[n] for n in names))
    lone = tuple(i for i, n in enumerate(names) if n not in keep)
    return sum_(x, lone) if lone else x, [n for n in names if n in keep]


def expand(equation: str, operands: tuple[Node, ...]) -> Node:
    """The node of an einsum; RuntimeError where equation and operands do not fit."""
    terms, right = _split(equation, len(operands))
    operands = promoted(*operands)
    rows = zip(terms, operands, strict=True)
    labels = [_labels(t, i, x) for i, (t, x) in enumerate(rows)]
    sizes = _check_sizes(labels, operands)
    out = _output(right, labels)
    number = {name: i for i, name in enumerate(sizes)}
    found: Node | None = None
    have: list = []
    for k, (x, names) in enumerate(zip(operands, labels, strict=True)):
        later = {n for rest in labels[k + 1 :] for n in rest} | set(out)
        x, names = _plain(x, names, sizes, later | set(have))
        if found is None:
            found, have = x, names
            continue
        found, have = _plain(found, have, sizes, later | set(names))
        kept = [n for n in dict.fromkeys(have + names) if n in later]
        ids = ([number[n] for n in row] for row in (have, names, kept))
        found, have = contract(found, x, *ids), kept
    assert found is not None
    return permute(found, [have.index(n) for n in out])
