"""Running the same case under PyTorch and under Gemel's face, and comparing what comes out.

A case is a function of the module that plays `torch`; it returns numbers, texts, None and
structures of them. Cases of one file are its functions whose names begin with `case_`.
"""

from __future__ import annotations

import json
import math
import pathlib
import warnings

RECORDED = pathlib.Path(__file__).parent / "recorded"


def cases_of(module) -> dict:
    """name -> case."""
    found = {n[5:]: f for n, f in vars(module).items() if n.startswith("case_")}
    return dict(sorted(found.items()))


def plain(value):
    """Tensors as lists, tuples as lists, keys as texts: what JSON gives back."""
    if hasattr(value, "detach"):
        value = value.detach().tolist()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def run(case, torch):
    """What a case gives, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return plain(case(torch))


def difference(a, b, tolerance: float, at: str = "") -> str:
    """Where two results differ, '' if nowhere."""
    if isinstance(a, dict) and isinstance(b, dict):
        if sorted(a) != sorted(b):
            return f"{at}: keys {sorted(a)} against {sorted(b)}"
        rows = [(f"{at}.{k}", a[k], b[k]) for k in a]
    elif isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return f"{at}: {len(a)} items against {len(b)}"
        rows = [(f"{at}[{i}]", x, y) for i, (x, y) in enumerate(zip(a, b, strict=True))]
    else:
        numbers = isinstance(a, float) and isinstance(b, float | int) and not isinstance(b, bool)
        if numbers and abs(a - b) <= tolerance * max(1.0, abs(b)):
            return ""
        return "" if type(a) is type(b) and a == b else f"{at}: {a!r} against {b!r}"
    for place, x, y in rows:
        found = difference(x, y, tolerance, place)
        if found:
            return found
    return ""


def recorded(name: str) -> dict:
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def raised(function) -> list[str]:
    """[class, message] of what a call raises."""
    try:
        function()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["nothing", ""]


def kind(function) -> str:
    """The class alone, where Gemel says it in words of its own."""
    return raised(function)[0]
