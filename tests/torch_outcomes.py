"""Running a row of `torch_rows` under a module that is PyTorch or Gemel's face, and comparing.

An outcome is plain data: lists, numbers, text, and for tensors {"dtype", "shape", "values"}; for a
row that raises, {"error": names of its class and of that class's bases, "text"}.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch_rows

TOLERANCE = {"torch.float32": (3e-5, 2e-6), "torch.float64": (1e-11, 1e-13)}


def evaluated(module, row: str, gradient: bool = False):
    """The value of a row; with `gradient` what `w.grad` is after the value's backward."""
    names = {"torch": module, "np": np}
    module.manual_seed(0)
    exec(torch_rows.SETUP, names)
    *statements, last = row.split(";")
    for statement in statements:
        exec(statement.strip(), names)
    value = eval(last.strip(), names) if _is_expression(last) else exec(last.strip(), names)
    if not gradient:
        return plain(value, module)
    value.backward()
    return plain(names["w"].grad, module)


def _is_expression(text: str) -> bool:
    try:
        compile(text.strip(), "row", "eval")
    except SyntaxError:
        return False
    return True


def outcome(module, row: str, gradient: bool = False):
    """The value as plain data, or the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return evaluated(module, row, gradient)
        except Exception as error:
            kinds = [k.__name__ for k in type(error).__mro__[:-3]]
            return {"error": kinds, "text": str(error)}


def plain(value, module):
    """Tensors and arrays as dictionaries, sequences as lists."""
    if isinstance(value, module.Tensor):
        values = value.detach().numpy()
        return {
            "dtype": str(value.dtype),
            "shape": list(value.shape),
            "values": [_number(x) for x in values.reshape(-1).tolist()],
        }
    if isinstance(value, np.ndarray):
        flat = [_number(x) for x in value.reshape(-1).tolist()]
        return {"dtype": str(value.dtype), "shape": list(value.shape), "values": flat}
    if isinstance(value, (list, tuple)):
        return [plain(x, module) for x in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return _number(value)
    return str(value)


def _number(x):
    """JSON has no infinities: they are text."""
    return x if not isinstance(x, float) or math.isfinite(x) else str(x)


def same(a, b) -> bool:
    """Equal up to rounding."""
    if isinstance(a, dict) and isinstance(b, dict):
        if "values" not in a or "values" not in b:
            return a == b
        if a["dtype"] != b["dtype"] or a["shape"] != b["shape"]:
            return False
        relative, absolute = TOLERANCE.get(a["dtype"], (0, 0))
        x, y = (np.array([float(v) for v in o["values"]]) for o in (a, b))
        return bool(np.allclose(x, y, relative, absolute, equal_nan=True))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) or isinstance(b, float):
        return math.isclose(float(a), float(b), rel_tol=1e-5, abs_tol=1e-6)
    return a == b


def same_error(mine, theirs) -> bool:
    """The original's exception class or a subclass of it, with a text."""
    return isinstance(mine, dict) and theirs["error"][0] in mine.get("error", ())


def failed(result) -> bool:
    return isinstance(result, dict) and "error" in result


def agree(mine, theirs) -> bool:
    """The same value, or both an error of the same class."""
    if failed(mine) or failed(theirs):
        return failed(mine) and failed(theirs) and same_error(mine, theirs)
    return same(mine, theirs)
