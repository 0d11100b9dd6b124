"""`gemel demo`: trains one network on handwritten digits as three programs, and reports.

Role: runs the example programs in turn, each in a process of its own through `gemel run`. Input:
the examples, and the digits that ship with Gemel. Output: a progress bar, a table, and one HTML
file. Invariant: what is shown comes from the programs' own records; nothing is trained here.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

PACKAGE = Path(__file__).resolve().parent.parent
# Beside the package in a checkout, inside it when installed.
EXAMPLES = (PACKAGE.parent / "examples", PACKAGE / "examples")
PROGRAMS = ("digits_torch.py", "digits_keras.py", "digits_tf1.py")
EPOCHS = 20
NEEDED = {"rich": "plot", "keras": "keras"}


@dataclass(frozen=True)
class Run:
    """One program's record. Seconds: `total` of the whole process, `seconds` of its training."""

    program: str
    losses: list[float]
    accuracy: float
    predicted: list[int]
    steps: int
    seconds: float
    first_step: float
    total: float = 0.0

    @property
    def rate(self) -> float:
        """Steps per second once the first step is done."""
        return (self.steps - 1) / max(self.seconds - self.first_step, 1e-9)


class ProgramFailed(Exception):
    """An example ended with an error; the text is what it printed last."""


def command(options) -> int:
    """Entry of the command line; 1 when a program fails, 2 when something needed is missing."""
    lacking = [extra for name, extra in NEEDED.items() if importlib.util.find_spec(name) is None]
    folder = _examples(options.examples)
    if lacking or folder is None:
        print(_complaint(lacking), file=sys.stderr)
        return 2
    try:
        runs = _train_all(folder, options.original)
    except ProgramFailed as error:
        print(error, file=sys.stderr)
        return 1
    _show_table(runs)
    _write_report(runs, Path(options.report), options.original)
    return 0


def _examples(given: str | None) -> Path | None:
    places = (Path(given),) if given else EXAMPLES
    return next((p for p in places if all((p / name).exists() for name in PROGRAMS)), None)


def _complaint(lacking: list[str]) -> str:
    if lacking:
        return f"gemel demo needs more than Gemel itself: pip install 'gemel[{','.join(lacking)}]'"
    return "gemel demo: the digit programs are not here; --examples DIR says where they are"


def _train_all(folder: Path, original: bool) -> list[Run]:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description:14s}"), BarColumn(40), TaskProgressColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("", total=len(PROGRAMS) * EPOCHS)
        runs = []
        for name in PROGRAMS:
            progress.update(task, description=name.removesuffix(".py").replace("_", " "))
            runs.append(_train(folder / name, original, lambda: progress.advance(task)))
        progress.update(task, description="done")
    return runs


def _train(script: Path, original: bool, advance: Callable[[], None]) -> Run:
    """Run one program; `advance` is called at the end of each of its epochs."""
    machinery = [] if original else ["-m", "gemel", "run"]
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "run.json")
        started = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-u", *machinery, str(script), "--json", str(record)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        printed = _follow(child, advance)
        total = time.perf_counter() - started
        if child.returncode != 0:
            raise ProgramFailed(f"{script.name} failed:\n{printed}")
        return replace(Run(**json.loads(record.read_text())), total=total)


def _follow(child: subprocess.Popen, advance: Callable[[], None]) -> str:
    """Read what a program prints until it ends; returns its last lines."""
    lines = []
    assert child.stdout is not None
    for line in child.stdout:
        lines.append(line)
        if line.startswith("epoch"):
            advance()
    child.wait()
    return "".join(lines[-30:])


def _show_table(runs: list[Run]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("face")
    for title in ("test accuracy", "seconds", "steps/s", "first-step seconds"):
        table.add_column(title, justify="right")
    for run in runs:
        table.add_row(
            run.program,
            f"{run.accuracy:.4f}",
            f"{run.total:.1f}",
            f"{run.rate:,.0f}",
            f"{run.first_step:.3f}",
        )
    Console().print(table)


def _write_report(runs: list[Run], path: Path, original: bool) -> None:
    from gemel.cli.report import page
    from gemel.data.digits import load_digits

    images, labels = load_digits()
    # The split of examples/digits.py.
    held_out = np.arange(len(labels)) % 5 == 0
    path.write_text(page(runs, images[held_out], labels[held_out], original), encoding="utf-8")
    print(f"report: {path.resolve()}")
