"""The recorded scores: a number per suite and column, which may only rise."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[2] / "docs" / "conformance.json"


def settle(suite: str, totals: dict[str, int], record: bool) -> int:
    """Compare with the record, print what has changed; with `record`, keep what has risen.

    1 where something has fallen: that is never recorded.
    """
    known = _read()
    old = known.get(suite, {})
    fallen = {k: n for k, n in totals.items() if n < old.get(k, 0)}
    risen = {k: n for k, n in totals.items() if n > old.get(k, -1)}
    for k, n in fallen.items():
        print(f"FALLEN  {suite} {k}: {n}, recorded {old[k]}")
    for k, n in risen.items():
        print(f"risen   {suite} {k}: {n}, recorded {old.get(k, 'never')}")
    if record and risen:
        known[suite] = dict(sorted({**old, **risen}.items()))
        write(FILE, known)
    return int(bool(fallen))


def _read() -> dict[str, dict[str, int]]:
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def write(file: str | Path, value: Any) -> None:
    """The whole file or nothing."""
    target = Path(file)
    part = target.with_name(target.name + ".part")
    part.write_text(json.dumps(value, indent=1) + "\n")
    os.replace(part, target)
