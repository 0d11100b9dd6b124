"""Writes the lists of the originals' public names that `gemel coverage` compares with.

Role: run by hand where PyTorch, TensorFlow and Keras are installed, when their releases change.
Input: the installed originals. Output: `gemel/cli/names/*.txt`: names only, one line a namespace.
A module's name ends with a dot.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType

OUT = Path(__file__).resolve().parent.parent / "gemel" / "cli" / "names"
NAMESPACES = {
    "torch": (
        "torch torch.Tensor torch.nn torch.nn.Module torch.nn.functional torch.nn.init "
        "torch.nn.utils torch.optim torch.optim.lr_scheduler torch.utils.data torch.autograd "
        "torch.linalg torch.fft torch.special torch.func torch.distributions torch.random"
    ),
    "tensorflow": (
        "tf tf.Tensor tf.Variable tf.GradientTape tf.nn tf.math tf.linalg tf.random tf.data "
        "tf.data.Dataset tf.train tf.image tf.io tf.signal tf.sets tf.strings tf.config "
        "tf.compat.v1 tf.compat.v1.Session tf.compat.v1.Graph tf.compat.v1.train tf.compat.v1.nn "
        "tf.compat.v1.losses tf.compat.v1.summary"
    ),
    "keras": (
        "keras keras.layers keras.models keras.optimizers keras.losses keras.metrics "
        "keras.callbacks keras.activations keras.initializers keras.regularizers "
        "keras.constraints keras.ops keras.random keras.utils keras.saving keras.applications "
        # What a backend has to offer: the functions that the layers are made of.
        "keras.src.backend.numpy keras.src.backend.nn keras.src.backend.math "
        "keras.src.backend.linalg keras.src.backend.image keras.src.backend.random"
    ),
}
FOREIGN = ("typing", "collections", "functools", "contextlib")
COMPILED_PUBLIC = "Generator Size Stream Event Tensor device dtype layout finfo iinfo".split()


def main() -> int:
    """Write one file an original."""
    OUT.mkdir(exist_ok=True)
    for root, namespaces in NAMESPACES.items():
        lines = [f"{name}: {' '.join(_names(root, name))}" for name in namespaces.split()]
        (OUT / f"{root}.txt").write_text("\n".join(lines) + "\n", encoding="ascii")
    return 0


def _names(root: str, namespace: str) -> list[str]:
    owner = importlib.import_module(root)
    for part in namespace.split(".")[1:]:
        try:
            owner = getattr(owner, part)
        except AttributeError:
            owner = importlib.import_module(f"{owner.__name__}.{part}")
    names = sorted(name for name in dir(owner) if _public(owner, name, root))
    return [name + _mark(owner, name) for name in names]


def _mark(owner: object, name: str) -> str:
    """A dot after the name of a module: a function of that name is another thing."""
    return "." if isinstance(getattr(owner, name), ModuleType) else ""


def _public(owner: object, name: str, root: str) -> bool:
    """Leaves out private names, and what a module merely imported from elsewhere."""
    if name.startswith("_") or not name.isascii():
        return False
    try:
        value = getattr(owner, name)
    except (AttributeError, ImportError):
        # A lazily loaded part that is not installed.
        return False
    if isinstance(owner, ModuleType) and ".src." in _module_name(owner, root):
        return getattr(value, "__module__", None) == owner.__name__
    if isinstance(value, ModuleType):
        return _module_name(value, root).partition(".")[0] in (root, "keras")
    place = getattr(value, "__module__", None) or ""
    return not place.startswith(FOREIGN) and not _internal_class(value, name, root)


def _module_name(module: ModuleType, default: str) -> str:
    try:
        return module.__name__
    except (AttributeError, ImportError):
        # A lazily loaded module may be unable to answer.
        return default


def _internal_class(value: object, name: str, root: str) -> bool:
    """Is it one of the classes of PyTorch's compiled part that users never name?"""
    if root != "torch" or not isinstance(value, type) or name in COMPILED_PUBLIC:
        return False
    return getattr(sys.modules["torch._C"], name, None) is value


if __name__ == "__main__":
    sys.exit(main())
