"""Views, `out=`, repeated places and versions of the PyTorch face, as recorded from PyTorch."""

from __future__ import annotations

import pytest
import torch_memory_rows
from test_aliasing import close, plain

import gemel.torch as torch
from gemel.passes.compile import device

NAMES = [f"{k}: {row[1][:60]}" for k, row in enumerate(torch_memory_rows.ROWS)]


@pytest.mark.parametrize("where", ["cpu", "reference"])
@pytest.mark.parametrize("row", torch_memory_rows.ROWS, ids=NAMES)
def test_row(row, where):
    setup, code, look, expected = row
    scope = {"torch": torch, "T": torch.tensor}
    with device(where):
        if isinstance(expected, str):
            with pytest.raises(RuntimeError, match=expected.removeprefix("RuntimeError: ")):
                exec(setup + "\n" + code, scope)
            return
        exec(setup + "\n" + code, scope)
        found = plain(eval(look, scope))
    assert close(found, expected), (found, expected)


def test_an_out_that_is_resized_warns():
    with pytest.warns(UserWarning, match="was resized since it had shape"):
        torch.neg(torch.ones(3), out=torch.ones(2))


def test_every_function_that_takes_out_writes_there():
    x = torch.rand(4, 4)
    for name in ("exp", "tril", "cumsum", "diag", "logcumsumexp", "sort", "topk", "nansum"):
        function = getattr(torch, name)
        more = (1,) if name in ("topk", "cumsum", "logcumsumexp") else ()
        wanted = function(x, *more)
        parts = wanted if isinstance(wanted, tuple) else (wanted,)
        out = tuple(torch.empty(0, dtype=p.dtype) for p in parts)
        function(x, *more, out=out if isinstance(wanted, tuple) else out[0])
        assert all(torch.equal(a, b) for a, b in zip(out, parts, strict=True)), name
