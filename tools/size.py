"""Prints the design's budgets and where the code stands; exits with 1 when a hard one is broken.

Role: keeps the code readable by counting. Input: the working tree, parsed but not run, except for
the tables of primitives and passes, which are imported. Output: a table on standard output.
Budgets that say "about" are for orientation: they are shown and never fail.
"""

import argparse
import ast
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ("gemel", "tools", "benchmarks")
# Files that are tables of records: one record after the other, little else.
RECORDS: frozenset[str] = frozenset()
LONGEST_FUNCTION = 60
USUAL_FUNCTION = 20
LONGEST_FILE = 600
LONGEST_TABLE = 800
LONGEST_LINE = 100
PRIMITIVES = 64
PASSES = 10
INSTALLED_MB = 260
ABOUT = {
    "tensor": 700,
    "ops": 3000,
    "graph": 1000,
    "autodiff": 800,
    "passes": 2000,
    "codegen": 3500,
    "runtime": 2000,
}


@dataclass(frozen=True)
class Function:
    """A function and its place."""

    path: str
    line: int
    name: str
    length: int


@dataclass(frozen=True)
class Row:
    """One budget: what, how much is allowed, where the code stands, is that well."""

    what: str
    budget: str
    stands: str
    holds: bool = True
    where: tuple[str, ...] = ()


def main(argv: list[str] | None = None) -> int:
    """Print the tables; 1 when a hard budget is broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--longest", type=int, default=0, metavar="N", help="name the N longest")
    options = parser.parse_args(argv)
    files = list(sources())
    functions = [item for path in files for item in functions_of(path)]
    rows = [*function_rows(functions), *file_rows(files), *table_rows(), installed_row()]
    for row in rows:
        mark = "  " if row.holds else "! "
        print(f"{mark}{row.what:34s} {row.budget:>12s} {row.stands:>10s}")
        for place in row.where:
            print(f"      {place}")
    print("\n  folder                              about      lines")
    for folder, budget, lines in folder_lines():
        print(f"  {folder:34s} {budget:>6s} {lines:>10d}")
    for item in sorted(functions, key=lambda f: -f.length)[: options.longest]:
        print(f"  {item.length:4d}  {item.path}:{item.line} {item.name}")
    return 0 if all(row.holds for row in rows) else 1


def sources() -> Iterator[Path]:
    """The project's Python files that the budgets are for."""
    for folder in CODE:
        yield from sorted((ROOT / folder).rglob("*.py"))


def functions_of(path: Path) -> Iterator[Function]:
    """Every function of a file, nested ones too; decorators and docstrings count."""
    name = str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Function(name, node.lineno, node.name, length)


def function_rows(functions: list[Function]) -> list[Row]:
    """Length of functions: the 90th percentile and the longest."""
    lengths = sorted(item.length for item in functions)
    usual = lengths[int(0.9 * (len(lengths) - 1))]
    long = [f for f in functions if f.length > LONGEST_FUNCTION]
    return [
        Row("functions", "", str(len(lengths))),
        Row("function, 9 of 10", _most(USUAL_FUNCTION), str(usual), usual <= USUAL_FUNCTION),
        Row(
            "function, longest",
            _most(LONGEST_FUNCTION),
            str(lengths[-1]),
            not long,
            tuple(f"{f.path}:{f.line} {f.name}: {f.length} lines" for f in long),
        ),
    ]


def file_rows(files: list[Path]) -> list[Row]:
    """Length of files and of lines."""
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files}
    counts = {name: text.count("\n") for name, text in texts.items()}
    long = [
        f"{name}: {count} lines"
        for name, count in counts.items()
        if count > (LONGEST_TABLE if name in RECORDS else LONGEST_FILE)
    ]
    wide = [
        f"{name}:{number}: {len(line)} columns"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > LONGEST_LINE
    ]
    columns = max(len(line) for text in texts.values() for line in text.splitlines())
    return [
        Row("file, longest", _most(LONGEST_FILE), str(max(counts.values())), not long, tuple(long)),
        Row("line, longest", _most(LONGEST_LINE), str(columns), not wide, tuple(wide)),
    ]


def table_rows() -> list[Row]:
    """Number of primitives and of whole-graph passes, from the tables themselves."""
    sys.path.insert(0, str(ROOT))
    for path in sorted((ROOT / "gemel" / "ops").glob("*.py")):
        importlib.import_module(f"gemel.ops.{path.stem}")
    primitives = len(importlib.import_module("gemel.ops.record").PRIMITIVES)
    passes = len(importlib.import_module("gemel.passes.pipeline").GRAPH_PASSES)
    return [
        Row("primitives", _most(PRIMITIVES), str(primitives), primitives <= PRIMITIVES),
        Row("whole-graph passes", _most(PASSES), str(passes), passes <= PASSES),
    ]


def installed_row() -> Row:
    """Size of Gemel and its required dependencies, as installed."""
    names = ("numpy", "ml_dtypes", "llvmlite")
    sizes = [file.stat().st_size for name in names for file in _installed(name)]
    own = [f.stat().st_size for f in (ROOT / "gemel").rglob("*") if "__pycache__" not in f.parts]
    total = round((sum(sizes) + sum(own)) / 1e6)
    return Row("installed size, MB", _most(INSTALLED_MB), str(total), total <= INSTALLED_MB)


def _installed(name: str) -> Iterator[Path]:
    for file in metadata.files(name) or ():
        path = Path(str(file.locate()))
        if path.exists() and path.suffix != ".pyc":
            yield path


def folder_lines() -> Iterator[tuple[str, str, int]]:
    """(folder, lines it should have about, lines it has)."""
    folders = sorted(path for path in (ROOT / "gemel").iterdir() if any(path.glob("*.py")))
    for folder in [*folders, ROOT / "examples", ROOT / "tests", ROOT / "tools"]:
        texts = (path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
        about = ABOUT.get(folder.name, "")
        yield str(folder.relative_to(ROOT)), str(about), sum(text.count("\n") for text in texts)


def _most(number: int) -> str:
    return f"at most {number}"


if __name__ == "__main__":
    sys.exit(main())
