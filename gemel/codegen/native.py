"""What kernels of native functions share.

Role: internal functions that a module holds once however often a program uses them, thin functions
that call them with their sizes, and calls of the C library.
"""

from __future__ import annotations

from collections.abc import Callable

from gemel.codegen.llvm import Function, Module, Value
from gemel.codegen.sizes import is_size

ALONE = "ptr noalias"
# what most of them take: where to read, where to write, how many values
FILL = [(ALONE, "x"), (ALONE, "out"), ("i64", "n")]
ELEMENTS = {"float32": "float", "float64": "double"}


def right(x: Value, count: int) -> Value:
    """A shift that fills with zeros."""
    return x.function.binary("lshr", x, count)


def shared(module: Module, name: str, parameters: list, build: Callable[..., None]) -> Function:
    """The module's internal function of this name; `build(f, *arguments)` fills it in once."""
    found = module.functions.get(name)
    if found is None:
        found = module.function(name, parameters, internal=True, inline=False)
        build(found, *found.arguments)
        found.ret()
    return found


def delegate(
    module: Module, name: str, callee: Function, n: int, start: int = 0, more: tuple = ()
) -> None:
    """void @name(ptr x, ptr out): `callee(x from word `start` on, out, n, *more)`."""
    f = module.function(name, [("ptr", "x"), ("ptr", "out")])
    x, out = f.arguments
    if not any(map(is_size, (n, start, *more))):  # else it is for `run`, which has them at hand
        f.call(callee, f.gep(x, start, "i32"), out, n, *more)
    f.ret()
    f.delegated = callee, n, start, more


def run(f: Function, name: str, *pointers: Value) -> None:
    """Call the function of a native kernel, or what it delegates to: LLVM needs half a millisecond
    for the smallest function."""
    found = f.module.functions[name]
    if found.delegated is None:
        f.call(found, *pointers)
        return
    del f.module.functions[name]
    callee, n, start, more = found.delegated
    x, out = pointers
    f.call(callee, f.gep(x, start, "i32"), out, n, *more)


def libm(f: Function, name: str, *x: Value) -> Value:
    """The C library's scalar function for float or double."""
    elem = x[0].elem
    return f.call_external(name + ("f" if elem == "float" else ""), elem, *x)
