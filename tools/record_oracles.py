"""Record what PyTorch says of the rows in `tests/torch_rows.py`, for tests that have no PyTorch.

python tools/record_oracles.py          writes tests/recorded/torch_*.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"


def main() -> None:
    sys.path.insert(0, str(TESTS))
    import torch
    import torch_amp_cases
    import torch_compare
    import torch_outcomes
    import torch_printing_rows
    import torch_rows

    for name, rows in torch_rows.TABLES.items():
        gradient = name.endswith("gradients")
        found = {row: torch_outcomes.outcome(torch, row, gradient) for row in rows}
        for result in found.values():
            if torch_outcomes.failed(result):
                del result["text"]  # the class is what the tests compare
        write(name, found)
    texts = {row: repr(torch.from_numpy(a)) for row, a in torch_printing_rows.arrays()}
    for row in torch_printing_rows.EXPRESSIONS:
        texts[row] = torch_printing_rows.shown(torch, row)
    write("printing", texts)
    cases = torch_compare.cases_of(torch_amp_cases)
    write("amp", {name: torch_compare.run(case, torch) for name, case in cases.items()})


def write(name: str, found: dict) -> None:
    """One row a line."""
    text = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
    target = TESTS / "recorded" / f"torch_{name}.json"
    target.write_text(f"{{\n{text}\n}}\n")
    print(f"{target.name}: {len(found)} rows")


if __name__ == "__main__":
    main()
