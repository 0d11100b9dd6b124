"""Rows of the PyTorch face's tables under transformations: `vmap` against the loop, reverse against
forward mode. The whole vocabulary is `python -m tools.conformance transforms`."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch_rows

import gemel.torch as torch
from gemel.passes.compile import device

# floating-point values of the rows' SETUP: one of them gets lanes
FLOATS = ("f", "g", "v", "p", "q", "sq", "s", "d")
# draws, results of a form that values decide, and Python's view of a value
LOOKS = re.compile(
    r"rand|bernoulli|multinomial|nonzero|unique|argwhere|masked_select|item|tolist|numpy|\bint\(|"
    r"float\(|bool\(|print|repr|str\(|empty|histc|bincount|where\(\w+\)|allclose|equal|for |; |id\("
    r"|is_|dtype|size|isclose|manual_seed|linspace|logspace|histogram|\.data"
)


def names() -> dict:
    found = {"torch": torch, "np": np}
    exec(torch_rows.SETUP, found)
    return found


def over(row: str, name: str):
    """The row as a function of one of its values."""

    def run(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return eval(row, {**names(), name: x})

    return run


def candidates(rows: list[str]):
    """(row, name of the value that gets lanes)."""
    for row in rows:
        used = [n for n in FLOATS if re.search(rf"(?<![\w.\"']){n}(?![\w\"'])", row)]
        if used and not LOOKS.search(row):
            yield row, used[0]


def flat(x) -> list:
    if isinstance(x, torch.Tensor):
        return [x]
    return [t for v in x for t in flat(v)] if isinstance(x, list | tuple) else []


def rows_of(*tables: str) -> list:
    rows = [r for t in tables for r in torch_rows.TABLES[t]]
    return list(dict.fromkeys(candidates(rows)))


VMAP_ROWS = rows_of("ops", "functions")[::4]
PIECES = [VMAP_ROWS[k : k + 40] for k in range(0, len(VMAP_ROWS), 40)]


def loop_and_lanes(row: str, name: str) -> tuple[list, list] | None:
    run = over(row, name)
    x = names()[name]
    lanes = [x, x.flip(tuple(range(x.ndim)))]
    try:
        loop = [flat(run(y)) for y in lanes]
    except (RuntimeError, IndexError, TypeError, ValueError):
        return None  # a row about an error
    if not loop[0] or any(a.shape != b.shape for a, b in zip(*loop, strict=True)):
        return None
    wide = torch.vmap(lambda y: flat(run(y)))(torch.stack(lanes))
    return [torch.stack(list(pair)) for pair in zip(*loop, strict=True)], wide


@pytest.mark.parametrize("piece", range(len(PIECES)))
def test_vmap_is_the_loop(piece):
    bad, done = [], 0
    with device("reference"):
        for row, name in PIECES[piece]:
            pair = loop_and_lanes(row, name)
            if pair is None:
                continue
            done += 1
            for loop, wide in zip(*pair, strict=True):
                same = loop.shape == wide.shape and loop.dtype is wide.dtype
                if not same or not torch.allclose(
                    wide.double(), loop.double(), 1e-5, 1e-6, equal_nan=True
                ):
                    bad.append(f"{row} over {name}: {wide} for {loop}")
    assert not bad, "\n".join(bad)
    assert done > len(PIECES[piece]) // 2


@pytest.mark.parametrize("row", torch_rows.TABLES["gradients"][::3])
def test_reverse_is_forward(row):
    """The Jacobian of the gradient's rows for w, both ways."""
    if LOOKS.search(row) or not re.search(r"\bw\b", row):
        pytest.skip("says nothing of w")
    x = names()["w"].detach()

    def run(w):
        found = over(row, "w")(w)
        return [y for y in flat(found) if y.requires_grad]

    with device("reference"):
        back = torch.func.jacrev(run)(x)
        ahead = torch.func.jacfwd(run)(x)
    for b, a in zip(flat(back), flat(ahead), strict=True):
        assert torch.allclose(a, b, 1e-4, 1e-5, equal_nan=True), f"{a} for {b}"
