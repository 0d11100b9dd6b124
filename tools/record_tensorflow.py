"""Record what TensorFlow says of the rows and cases in `tests/tensorflow_*.py`.

    python tools/record_tensorflow.py          writes tests/recorded/tensorflow_*.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"


def main() -> None:
    sys.path.insert(0, str(TESTS))
    import tensorflow_array_cases
    import tensorflow_cases
    import tensorflow_compare as compare
    import tensorflow_loop_cases
    import tensorflow_rows as rows
    from torch_compare import cases_of

    tf = compare.original()
    write("values", {row: compare.value_of(tf, row) for row in rows.VALUES})
    write("gradients", {row: compare.gradient_of(tf, row) for row in rows.GRADIENTS})
    write("errors", {row: compare.error_of(tf, row) for row in [*rows.ERRORS, *rows.RUN_ERRORS]})
    write("graph_errors", {row: compare.graph_error_of(tf, row) for row in rows.ERRORS})
    cases = cases_of(tensorflow_cases)
    write("cases", {name: compare.case_of(tf, case) for name, case in cases.items()})
    cases = cases_of(tensorflow_loop_cases)
    write("loop_cases", {name: compare.case_of(tf, case) for name, case in cases.items()})
    cases = cases_of(tensorflow_array_cases)
    write("array_cases", {name: compare.plain(case(tf)) for name, case in cases.items()})


def write(name: str, found: dict) -> None:
    """One row a line."""
    text = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
    target = TESTS / "recorded" / f"tensorflow_{name}.json"
    target.write_text(f"{{\n{text}\n}}\n")
    print(f"{target.name}: {len(found)} rows")


if __name__ == "__main__":
    main()
