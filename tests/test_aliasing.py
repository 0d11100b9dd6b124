"""Views, in-place writes, versions and shared memory: an older reader keeps the older value."""

from __future__ import annotations

import aliasing_rows
import mini_face as face
import numpy as np
import pytest

import gemel.tensor as core
from gemel.tensor import errors
from gemel.tensor.tape import LOCAL

FACE = {"T": face.tensor, "no_grad": core.no_grad, "np": np, "from_numpy": face.from_numpy}
NAMES = [f"{k}: {row[1][:60]}" for k, row in enumerate(aliasing_rows.ROWS)]


@pytest.fixture(autouse=True)
def fresh_tape():
    yield
    core.set_grad_enabled(True)
    LOCAL.tape.reset()


def plain(value):
    """Nested lists of Python numbers."""
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray) or hasattr(value, "detach"):
        return (value if isinstance(value, np.ndarray) else value.detach()).tolist()
    return value


def close(a, b) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, float) or isinstance(b, float):
        return abs(a - b) <= 1e-5 * max(1, abs(b))
    return a == b


def run(setup: str, code: str, look: str, names: dict):
    """What the row gives, or the exception."""
    scope = dict(names)
    try:
        exec(setup + "\n" + code, scope)
        return plain(eval(look, scope)) if look else None
    except Exception as error:
        return error


@pytest.mark.parametrize("row", aliasing_rows.ROWS, ids=NAMES)
def test_row(row):
    *program, expected = row
    found = run(*program, FACE)
    if isinstance(expected, str):
        wanted = getattr(errors, expected, RuntimeError)
        assert isinstance(found, wanted), repr(found)
        assert isinstance(found, RuntimeError)
    else:
        assert not isinstance(found, Exception), repr(found)
        assert close(found, expected)


@pytest.mark.oracle
def test_rows_live():
    torch = pytest.importorskip("torch")
    names = {"T": torch.tensor, "no_grad": torch.no_grad, "np": np, "from_numpy": torch.from_numpy}
    for row in aliasing_rows.ROWS:
        *program, expected = row
        found = run(*program, names)
        if isinstance(expected, str):
            assert isinstance(found, RuntimeError), row
        else:
            assert close(found, expected), row
