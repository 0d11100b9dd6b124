"""`gemel coverage FACE [NAMESPACE]`: which of an original's names a face has.

Role: compares the face with a list of the original's public names. Input: `names/FACE.txt`, made
from the installed original by `tools/list_names.py`, one line a namespace: its name, a colon, its
names (a module's ends with a dot). Output: a count for each namespace, or the names of one.
Invariant: the original itself is not needed. A name counts as there when the face resolves it;
nothing is called.
"""

import importlib
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

NAMES = Path(__file__).with_name("names")
PACKAGES = {"torch": "gemel.torch", "tensorflow": "gemel.tensorflow", "keras": "keras"}
JOIN = {"keras": "gemel.keras_backend"}


class _Missing:
    """The answer for an attribute that is not there."""


MISSING = _Missing()


def command(options) -> int:
    """Entry of the command line; 2 for a namespace that the list does not hold."""
    listed = original_names(options.face)
    if options.namespace is None:
        _summary(options.face, listed)
        return 0
    if options.namespace not in listed:
        print(f"gemel coverage: no namespace {options.namespace!r}; there are:", file=sys.stderr)
        print(_columns(sorted(listed)), file=sys.stderr)
        return 2
    there, missing = split(options.face, options.namespace, listed[options.namespace])
    print(f"{options.namespace}: {len(there)} there\n{_columns(there)}")
    print(f"\n{options.namespace}: {len(missing)} missing\n{_columns(missing)}")
    return 0


def original_names(face: str) -> dict[str, list[str]]:
    """Namespace of the original -> its public names."""
    listed = {}
    for line in (NAMES / f"{face}.txt").read_text(encoding="ascii").splitlines():
        namespace, _, names = line.partition(":")
        listed[namespace] = names.split()
    return listed


def split(face: str, namespace: str, names: list[str]) -> tuple[list[str], list[str]]:
    """(names the face has, names it lacks) in one namespace."""
    if face in JOIN:
        importlib.import_module(JOIN[face])
    owner = _resolve(face, namespace)
    there = [name for name in names if owner is not None and _has(owner, name)]
    return there, [name for name in names if name not in set(there)]


def _resolve(face: str, namespace: str) -> object | None:
    """The face's own module or class of that name; None when it has none."""
    owner: object = importlib.import_module(PACKAGES[face])
    for part in namespace.split(".")[1:]:
        if not (_has(owner, part) or _has(owner, part + ".")):
            return None
        owner = getattr(owner, part)
    return owner


def _has(owner: object, name: str) -> bool:
    """Is a name there, as a module where it ends with a dot and as anything else where not?"""
    if not name.endswith("."):
        # A face's own file may bear the name of a function that the face lacks.
        found = getattr(owner, name, MISSING)
        # An op that only says that it is still to come is not there.
        refused = getattr(found, "refused", False) is True
        return not refused and not isinstance(found, ModuleType | type(MISSING))
    if isinstance(getattr(owner, name[:-1], None), ModuleType):
        return True
    return _import_below(owner, name[:-1])


def _import_below(owner: object, name: str) -> bool:
    """Import a submodule; False when there is none."""
    if not isinstance(owner, ModuleType) or not hasattr(owner, "__path__"):
        return False
    real = f"{owner.__name__}.{name}"
    if importlib.util.find_spec(real) is None:
        return False
    importlib.import_module(real)
    return True


def _summary(face: str, listed: dict[str, list[str]]) -> None:
    counts = {name: len(split(face, name, names)[0]) for name, names in listed.items()}
    total = sum(len(names) for names in listed.values())
    found = sum(counts.values())
    print(f"{face}: {found} of {total} names ({100 * found / total:.0f} %)")
    for name, names in listed.items():
        print(f"  {name:32s} {counts[name]:5d} of {len(names)}")
    print(f"`gemel coverage {face} NAMESPACE` lists the names of one of these")


def _columns(names: list[str]) -> str:
    """Names in as many columns as fit the terminal, read downwards."""
    if not names:
        return "  (none)"
    width = max(map(len, names)) + 2
    across = max(1, (shutil.get_terminal_size().columns - 2) // width)
    down = -(-len(names) // across)
    rows = (names[row::down] for row in range(down))
    return "\n".join("  " + "".join(f"{name:{width}s}" for name in row).rstrip() for row in rows)
