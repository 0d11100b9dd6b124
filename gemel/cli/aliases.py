"""Makes `import torch`, `import tensorflow` and `import keras` mean Gemel.

Role: an import hook. Input: which root name stands for which package. Output: modules under the
original's names in `sys.modules` that are the face's own module objects, so that a name reached
either way is one object. Invariant: an alias never executes a module a second time.

A dotted name is resolved from its parent: first a real submodule of the face, then an attribute
of the parent that is a module (a face may keep one in another file, as `tensorflow.keras` is).
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Mapping
from types import ModuleType

FACES = {"torch": "gemel.torch", "tensorflow": "gemel.tensorflow"}
KERAS = "gemel.keras_backend"


def install(faces: Mapping[str, str] = FACES, keras: str = KERAS) -> None:
    """Put the hook first in line. Importing `keras` joins the Keras package to Gemel.

    Raises RuntimeError when an original was imported before.
    """
    for root in (*faces, "keras"):
        if root in sys.modules:
            raise RuntimeError(f"{root} was imported before Gemel could take its place")
    importlib.import_module(keras)
    sys.meta_path.insert(0, Aliases(faces))


def hint(face: str) -> str:
    """Where to see what a face has."""
    return f"`gemel coverage {face}` lists what is there"


class Aliases(importlib.abc.MetaPathFinder):
    """Finds the faces under the originals' names."""

    def __init__(self, faces: Mapping[str, str]) -> None:
        self.faces = faces

    def find_spec(self, fullname, path=None, target=None):
        """The spec of an alias; None for a name that is none of ours."""
        root = fullname.partition(".")[0]
        if root not in self.faces:
            return None
        module = self._resolve(fullname, root)
        if module is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, _Loader(module, fullname), is_package=True)

    def _resolve(self, name: str, root: str) -> ModuleType | None:
        if name == root:
            return importlib.import_module(self.faces[root])
        above, _, last = name.rpartition(".")
        parent = sys.modules[above]
        real = f"{parent.__name__}.{last}"
        if real in sys.modules or importlib.util.find_spec(real) is not None:
            return importlib.import_module(real)
        found = getattr(parent, last, None)
        return found if isinstance(found, ModuleType) else None


class _Loader(importlib.abc.Loader):
    def __init__(self, module: ModuleType, alias: str) -> None:
        self.module = module
        self.alias = alias
        self.spec = module.__spec__

    def create_module(self, spec):
        return self.module

    def exec_module(self, module):
        # The import system has just put the alias's spec there; relative imports need the own one.
        module.__spec__ = self.spec
        if not hasattr(module, "__path__"):
            # A face may keep a namespace in one file; its parts are then found as attributes.
            module.__path__ = []
        if module.__name__.startswith("gemel."):
            _explain_missing(module.__name__, self.alias)


def _explain_missing(real: str, alias: str) -> None:
    """Have a module of a face, and what it has loaded below itself, say which names it lacks."""
    for name, module in list(sys.modules.items()):
        if name == real or name.startswith(real + "."):
            if isinstance(module, ModuleType) and "__getattr__" not in vars(module):
                vars(module)["__getattr__"] = _missing(module, alias + name[len(real) :])


def _missing(module: ModuleType, alias: str):
    """A module's `__getattr__`: says that the face, not the user, lacks the name."""

    def __getattr__(name: str):
        text = f"module {alias!r} has no attribute {name!r} in Gemel"
        if not name.startswith("__"):
            text = f"{text}; {hint(alias.partition('.')[0])}"
        raise AttributeError(text, name=name, obj=module)

    return __getattr__
