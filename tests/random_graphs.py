"""Random graphs for tests: shapes that meet every edge, all kinds of primitives, gradients."""

from __future__ import annotations

import random

from gemel.autodiff.reverse import gradients
from gemel.graph.errors import ShapeError
from gemel.graph.form import float64, form
from gemel.graph.node import Node
from gemel.ops import activations, contraction, elementwise, movement, reduction, statistics
from gemel.ops.record import leaf, scalar

SIZES = [1, 2, 3, 5, 10, 16, 17, 33, 64, 70]
LARGEST = 100_000
PAIRS = [elementwise.add, elementwise.mul, elementwise.sub, elementwise.maximum]
SINGLES = [
    elementwise.TANH,
    elementwise.SIGMOID,
    elementwise.SIN,
    activations.relu,
    elementwise.square,
]
FOLDS = [reduction.sum_, reduction.amax, statistics.mean]


def _pair(r: random.Random, x: Node, pool: list[Node]) -> Node:
    return r.choice(PAIRS)(x, r.choice(pool))


def _single(r, x, pool):
    return r.choice(SINGLES)(x)


def _fold(r, x, pool):
    axes = tuple(sorted(r.sample(range(x.ndim), r.randint(1, x.ndim))))
    return r.choice(FOLDS)(x, axes, r.random() < 0.5)


def _softmax(r, x, pool):
    return activations.softmax(x, r.randrange(x.ndim))


def _permute(r, x, pool):
    axes = list(range(x.ndim))
    r.shuffle(axes)
    return movement.permute(x, axes)


def _reshape(r, x, pool):
    return movement.reshape(x, r.choice([(x.form.size,), (1, *x.shape), x.shape[::-1]]))


def _narrow(r, x, pool):
    return movement.narrow(x, 0, 1, x.shape[0] - 1) if x.shape[0] > 1 else x


def _flip(r, x, pool):
    return movement.flip(x, (r.randrange(x.ndim),))


def _concat(r, x, pool):
    return movement.concat([x, x * 2.0], r.randrange(x.ndim))


def _matmul(r, x, pool):
    y = r.choice([p for p in pool if p.ndim])
    return contraction.matmul(x, movement.swap(y) if y.ndim > 1 and r.random() < 0.5 else y)


MOVES = [
    (7, _pair, 0),
    (3, _single, 0),
    (3, _fold, 1),
    (1, _softmax, 1),
    (2, _permute, 1),
    (1, _reshape, 0),
    (1, _narrow, 1),
    (1, _flip, 1),
    (1, _concat, 1),
    (2, _matmul, 1),
]


def _grow(r: random.Random, pool: list[Node]) -> None:
    x = r.choice(pool[-6:])
    fitting = [(weight, move) for weight, move, axes in MOVES if x.ndim >= axes]
    (move,) = r.choices([m for _, m in fitting], [w for w, _ in fitting])
    try:
        made = move(r, x, pool)
    except ShapeError:
        return
    if 0 < made.form.size <= LARGEST:
        pool.append(made)


def random_graph(seed: int):
    """(leaves, outputs, updates): values and gradients, some of them new values of leaves.

    One run-time number takes part.
    """
    r = random.Random(seed)
    sizes = [r.choice(SIZES) for _ in range(3)]
    shapes = [
        tuple(r.choice(sizes) for _ in range(r.randint(0, 3))) for _ in range(r.randint(2, 4))
    ]
    leaves = [leaf(i, form(s, float64)) for i, s in enumerate(shapes)]
    pool = list(leaves)
    number = scalar(0, float)
    pool.append(number * number + 0.5)
    pool.append(movement.expand(number * 0.5, tuple(sizes[:2])))
    for _ in range(r.randint(3, 14)):
        _grow(r, pool)
    outputs = [pool[-1]] + [p for p in pool[len(leaves) :] if r.random() < 0.2][:3]
    total = None
    for o in outputs:
        part = reduction.sum_(o * 0.1)
        total = part if total is None else total + part
    outputs += [g for g in gradients([total], [None], leaves) if g is not None]
    updates: dict[int, Node] = {}
    for o in outputs:
        free = [k for k, x in enumerate(leaves) if x.form is o.form and k not in updates]
        if free and len(updates) < 2:
            updates[r.choice(free)] = o
    return leaves, outputs, updates
