"""Imports go one way: a folder uses only the folders below it, and the faces never each other."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "gemel"
ENGINE = ["tensor", "autodiff", "passes", "ops", "graph", "codegen", "runtime"]
FACES = ["torch", "tensorflow", "keras_backend", "array_api"]
# What stands around the engine; none of these uses another.
AROUND = ["data"]
# What looks at the engine from outside: measures it, explains it.
WATCHERS = ["explaining", "bench"]
# A folder -> the folders it may use. `cli` may use everything.
ALLOWED = {
    **{folder: set(ENGINE[place + 1 :]) for place, folder in enumerate(ENGINE)},
    **{face: set(ENGINE) for face in FACES},
    **{folder: set(ENGINE) for folder in AROUND},
    "onnx": set(ENGINE),
    "explaining": set(ENGINE),
    "bench": {*ENGINE, "explaining"},
    "cli": {*ENGINE, *FACES, *AROUND, *WATCHERS},
}
HOMELESS = {"utils", "core", "common", "base", "misc"}
# PyTorch's own public names, which a face has to answer to.
NAMED_BY_ORIGINAL = {"torch/utils", "torch/nn/utils"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> list[tuple[int, str]]:
    """(line, dotted name) of everything a file imports, inside functions too."""
    found = []
    package = ["gemel", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.extend((node.lineno, item.name) for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            # `from gemel import ops` names a folder as well as `from gemel.ops import record`.
            found.extend((node.lineno, f"{module}.{item.name}") for item in node.names)
    return found


def folder_of(name: str) -> str | None:
    """The folder of gemel that a dotted name lies in; None for anything else."""
    parts = name.split(".")
    if parts[0] != "gemel" or len(parts) < 2:
        return None
    return parts[1] if (PACKAGE / parts[1]).is_dir() else None


def test_every_folder_has_a_place_in_the_order():
    folders = {path.relative_to(PACKAGE).parts[0] for path in FILES if path.parent != PACKAGE}
    assert folders <= set(ALLOWED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    own = path.relative_to(PACKAGE).parts[0]
    if path.parent == PACKAGE:
        # The package's root: the entry of the command line, and a light front.
        return
    wrong = [
        f"{path.name}:{line} imports {name}"
        for line, name in imported(path)
        if folder_of(name) not in {None, own, *ALLOWED[own]}
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_the_package_loads_nothing_else():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    assert not [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


def test_no_file_without_a_home():
    homeless = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*")
        if path.stem in HOMELESS
        and path.suffix in ("", ".py")
        and str(path.relative_to(PACKAGE)) not in NAMED_BY_ORIGINAL
    ]
    assert not homeless
