"""Einstein summation as contractions, two operands at a time from the left."""

from __future__ import annotations

from gemel.graph.errors import ShapeError
from gemel.graph.node import Node

from .contraction import contract
from .movement import expand, permute, reshape
from .rearrange import diagonal
from .reduction import sum_


def parse(equation: str, ranks: list[int]) -> tuple[list[list[str]], list[str]]:
    """Labels per operand and of the result. An ellipsis becomes labels of its own.

    Raises ShapeError for an equation that does not fit the operands.
    """
    equation = equation.replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        reason = f"{equation!r} names {len(terms)} operands, {len(ranks)} were given"
        raise ShapeError("einsum", reason)
    hidden = max(
        (rank - len(t.replace("...", "")) for t, rank in zip(terms, ranks, strict=True)
         if "..." in t),
        default=0,
    )  # fmt: skip
    rest = [f"...{i}" for i in range(hidden)]
    labels = [_labels(t, rank, rest, equation) for t, rank in zip(terms, ranks, strict=True)]
    if arrow:
        head, dots, tail = right.partition("...")
        return labels, [*head, *(rest if dots else []), *tail]
    seen = [label for row in labels for label in row]
    once = sorted(x for x in set(seen) if seen.count(x) == 1 and x not in rest)
    return labels, [*rest, *once]


def _labels(term: str, rank: int, rest: list[str], equation: str) -> list[str]:
    head, dots, tail = term.partition("...")
    hidden = rank - len(head) - len(tail)
    if hidden < 0 or (hidden and not dots):
        raise ShapeError("einsum", f"{term!r} of {equation!r} does not fit {rank} axes")
    return [*head, *rest[len(rest) - hidden :], *tail]


def _without_repeats(x: Node, labels: list[str]) -> tuple[Node, list[str]]:
    """A label twice on one operand means its diagonal."""
    for label in list(labels):
        while labels.count(label) > 1:
            a = labels.index(label)
            b = labels.index(label, a + 1)
            x = diagonal(x, 0, a, b)
            labels = [v for i, v in enumerate(labels) if i not in (a, b)] + [label]
    return x, labels


def _summed(x: Node, labels: list[str], keep: set[str]) -> tuple[Node, list[str]]:
    """Labels that nobody else wants are summed away."""
    gone = tuple(i for i, label in enumerate(labels) if label not in keep)
    return (sum_(x, gone) if gone else x), [v for v in labels if v in keep]


def _without_ones(x: Node, labels: list[str], sizes: dict[str, int]) -> tuple[Node, list[str]]:
    """Axes of size 1 that stand for a broadcast axis of the other operand go."""
    keep = [i for i, v in enumerate(labels) if x.shape[i] == sizes[v]]
    return reshape(x, [x.shape[i] for i in keep]), [labels[i] for i in keep]


def _sizes(operands: list[tuple[Node, list[str]]], equation: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for x, labels in operands:
        for n, label in zip(x.shape, labels, strict=True):
            known = sizes.setdefault(label, n)
            if known != n and 1 not in (known, n):
                forms = [v.form for v, _ in operands]
                raise ShapeError("einsum", f"{equation!r}: label {label}: {known}, {n}", forms)
            sizes[label] = n if known == 1 else known
    return sizes


def einsum(equation: str, *operands: Node) -> Node:
    """NumPy's einsum. Operands have one element type.

    Raises ShapeError where equation and operands do not fit.
    """
    labels, result = parse(equation, [x.ndim for x in operands])
    rows = [_without_repeats(x, row) for x, row in zip(operands, labels, strict=True)]
    sizes = _sizes(rows, equation)
    unknown = [v for v in result if v not in sizes]
    if unknown or len(set(result)) != len(result):
        raise ShapeError("einsum", f"result labels of {equation!r} are not those of the operands")
    rows = [_without_ones(x, row, sizes) for x, row in rows]
    x, row = rows[0]
    for k, (y, other) in enumerate(rows[1:], 1):
        keep = set(result).union(*(r for _, r in rows[k + 1 :]))
        x, row = _summed(x, row, keep | set(other))
        y, other = _summed(y, other, keep | set(row))
        out = [v for v in dict.fromkeys([*row, *other]) if v in keep]
        number = {v: i for i, v in enumerate(dict.fromkeys([*row, *other]))}
        x = contract(x, y, *([number[v] for v in r] for r in (row, other, out)))
        row = out
    x, row = _summed(x, row, set(result))
    return _laid_out(x, row, result, sizes)


def _laid_out(x: Node, row: list[str], result: list[str], sizes: dict[str, int]) -> Node:
    x = permute(x, [row.index(v) for v in result if v in row])
    x = reshape(x, [sizes[v] if v in row else 1 for v in result])
    return expand(x, [sizes[v] for v in result])
