"""`gemel run FILE.py`: runs a script whose frameworks then are Gemel's faces.

Role: does what the interpreter does for `python FILE.py` (its `__main__`, `sys.argv`, `sys.path`),
with the import hook in place, graph mode on for TensorFlow 1 scripts, and tracebacks that show the
user's own frames. Input: a path and the script's arguments. Output: the script's own effects;
its exceptions and exits pass through. Invariant: the script is compiled from its unchanged bytes.
"""

import ast
import builtins
import sys
import types
from pathlib import Path

from gemel.cli import aliases, tracebacks
from gemel.cli.graph_mode import wants_graph_mode


def command(options) -> int:
    """Entry of the command line; 2 when the file cannot be read, as the interpreter has it."""
    try:
        source = Path(options.script).read_bytes()
    except OSError as error:
        print(f"gemel run: cannot open {options.script!r}: {error.strerror}", file=sys.stderr)
        return 2
    run(options.script, source, options.arguments)
    return 0


def run(script: str, source: bytes, arguments: list[str]) -> None:
    """Run `source` as the program `script`. Raises what the script raises."""
    sys.excepthook = tracebacks.excepthook
    aliases.install()
    tree = compile(source, script, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    code = compile(source, script, "exec", dont_inherit=True)
    module = _main_module(script)
    sys.argv = [script, *arguments]
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(script).resolve().parent)
    if wants_graph_mode(tree):
        _start_graph_mode()
    exec(code, module.__dict__)


def _main_module(script: str) -> types.ModuleType:
    module = types.ModuleType("__main__")
    vars(module).update(
        __file__=script, __builtins__=builtins, __cached__=None, __spec__=None, __package__=None
    )
    sys.modules["__main__"] = module
    return module


def _start_graph_mode() -> None:
    import gemel.tensorflow.compat.v1 as tf

    tf.disable_eager_execution()
