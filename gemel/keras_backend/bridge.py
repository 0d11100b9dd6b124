"""Joins the backend to the Keras package: an import hook for one pinned release of Keras.

Keras picks its backend by name, in a handful of modules, and refuses names it does not know. Those
modules are compiled from Keras's own files with the name added where they choose; every other
module of Keras is imported as it is. The hook also serves `keras.src.backend.gemel.*`, the names
under which Keras asks for a backend's parts, from this package's files.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys

NAME = "gemel"
VARIABLE = "KERAS_BACKEND"
KERAS_VERSION = "3.15.1"
HERE = __package__
ROOT = f"keras.src.backend.{NAME}"
# what Keras asks for -> the module here that answers
PARTS = {
    "": "names",
    ".core": "interface",
    ".numpy": "numpy_ops",
    ".math": "math_ops",
    ".nn": "nn_ops",
    ".linalg": "linalg_ops",
    ".image": "image_ops",
    ".random": "random_ops",
    ".rnn": "rnn_ops",
    ".trainer": "trainer",
    ".layer": "layer",
    ".export": "export",
}
# modules of Keras that choose by the backend's name -> the name whose branch becomes ours
CHOOSERS = {
    "keras.src.backend": "numpy",
    "keras.src.layers.layer": "numpy",
    "keras.src.models.model": "numpy",
    "keras.src.export.saved_model": "numpy",
    "keras.src.utils.backend_utils": "numpy",
    # element types promote as on TensorFlow: 64-bit types stay
    "keras.src.backend.common.dtypes": "tensorflow",
}


def _constants(node: ast.Tuple) -> list:
    return [item.value for item in node.elts if isinstance(item, ast.Constant)]


class Choice(ast.NodeTransformer):
    """Rewrites `backend() == "<stand-in>"` and the imports of its branch to this backend's name."""

    def __init__(self, stand_in: str) -> None:
        self.stand_in = stand_in
        self.package = f"keras.src.backend.{stand_in}"
        self.changed = 0

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        other = node.comparators[0]
        if isinstance(other, ast.Constant) and other.value == self.stand_in:
            node.comparators = [ast.copy_location(ast.Constant(NAME), other)]
            self.changed += 1
        if isinstance(other, ast.Tuple) and self.stand_in in _constants(other):
            other.elts.append(ast.copy_location(ast.Constant(NAME), other.elts[-1]))
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module and (node.module + ".").startswith(self.package + "."):
            node.module = node.module.replace(self.package, ROOT, 1)
            for alias in node.names:
                alias.name = alias.name.replace("Numpy", "Gemel")
        return node


class ChooserLoader(importlib.machinery.SourceFileLoader):
    """Compiles one of Keras's choosing modules with the name added."""

    def __init__(self, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self.stand_in = CHOOSERS[fullname]

    def get_code(self, fullname: str):
        """The module's code object; nothing is read from or written to a bytecode cache."""
        tree = ast.parse(self.get_data(self.path), self.path)
        choice = Choice(self.stand_in)
        tree = choice.visit(tree)
        if not choice.changed:
            raise ImportError(f"{fullname} of this Keras does not choose a backend by name")
        return compile(tree, self.path, "exec", dont_inherit=True)


class KerasLoader(importlib.machinery.SourceFileLoader):
    """Imports Keras; TensorFlow's face, where that is there, becomes one with it."""

    def exec_module(self, module) -> None:
        super().exec_module(module)
        face = sys.modules.get("gemel.tensorflow")
        if face is not None:
            face.join_keras()


class PartLoader(importlib.abc.Loader):
    """Gives a module of this package under the name that Keras uses."""

    def __init__(self, real: str) -> None:
        self.real = real

    def create_module(self, spec):
        module = importlib.import_module(self.real)
        self.own = module.__spec__
        return module

    def exec_module(self, module) -> None:
        # the import system has just put the alias's spec there
        module.__spec__ = self.own


class Bridge(importlib.abc.MetaPathFinder):
    """Finds the backend's parts and the choosing modules."""

    def find_spec(self, fullname, path=None, target=None):
        """A spec for the names of the bridge, None for every other one."""
        if fullname == "keras":
            check_keras()
            choose_backend()
            spec = importlib.machinery.PathFinder.find_spec(fullname, path)
            if spec is not None and spec.origin is not None:
                spec.loader = KerasLoader(fullname, spec.origin)
            return spec
        if fullname in CHOOSERS:
            spec = importlib.machinery.PathFinder.find_spec(fullname, path)
            if spec is not None:
                spec.loader = ChooserLoader(fullname, spec.origin)
            return spec
        if fullname != ROOT and not fullname.startswith(ROOT + "."):
            return None
        part = PARTS.get(fullname[len(ROOT) :])
        if part is None:
            return None
        loader = PartLoader(f"{HERE}.{part}")
        return importlib.machinery.ModuleSpec(fullname, loader, is_package=fullname == ROOT)


def check_keras() -> None:
    """Raise ImportError where Keras is missing or is not the release the bridge is written for."""
    try:
        version = importlib.metadata.version("keras")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(
            "Keras is not installed; install it with Gemel: pip install 'gemel[keras]'",
            name="keras",
        ) from None
    if version != KERAS_VERSION:
        raise ImportError(
            f"Gemel's Keras backend is made for keras {KERAS_VERSION}, but keras {version} is "
            f"installed: pip install 'keras=={KERAS_VERSION}'",
            name="keras",
        )


def install() -> None:
    """Put the hook in place; does nothing the second time.

    Raises RuntimeError when Keras was imported before, over another backend.
    """
    if any(isinstance(finder, Bridge) for finder in sys.meta_path):
        return
    if "keras" in sys.modules:
        raise RuntimeError("keras was imported before Gemel could become its backend")
    sys.meta_path.insert(0, Bridge())


_before: list[str | None] = []


def choose_backend() -> None:
    """Name this backend where Keras looks for the name."""
    _before.append(os.environ.get(VARIABLE))
    os.environ[VARIABLE] = NAME


def forget_choice() -> None:
    """Keras has read the name: other processes started from here choose for themselves."""
    before = _before.pop() if _before else os.environ.get(VARIABLE)
    if before is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = before
