"""From IR text to machine code in this process.

Role: parse, emit, link. Input: IR text of `codegen.llvm` or the bytes of an object. Output: a
`Library` with addresses. No pass pipeline runs over the IR: the generators emit rotated loops and
explicit vectors, and the pipeline only made compilation slower. llvmlite is imported on first use.

Invariant: a `Library` owns its code; addresses are valid as long as it lives.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from functools import cache
from typing import Any

from gemel.runtime.machine import machine, usable_cores

# Level 0 spills every vector; 2 and 3 emit the same kernels.
_CODEGEN_LEVEL = 2
_MUCH = 100_000  # characters of IR, after which memory is given back

_lock = threading.Lock()
_spent = [0.0, 0]  # seconds in `compile_objects`, and modules
_numbers = itertools.count()
_living: weakref.WeakSet[Library] = weakref.WeakSet()


class Library:
    """Linked code. `address(name)` is valid while the library lives."""

    def __init__(self, tracker: Any, addresses: dict[str, int], nbytes: int):
        # Dropping the tracker frees the code.
        self._tracker = tracker
        self._addresses = addresses
        self.nbytes = nbytes
        _living.add(self)

    def address(self, name: str) -> int:
        """The address of an exported function; KeyError when it was not exported."""
        return self._addresses[name]

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        """A ctypes callable that keeps the library alive."""
        callable_: Any = ctypes.CFUNCTYPE(result, *arguments)(self.address(name))
        callable_.library = self
        return callable_


def _new_target() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # Without the assembly parser a module with inline assembly would abort the process.
    llvm.initialize_native_asmparser()
    host = machine()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=host.cpu,
        # The generators choose the width; LLVM must not split their vectors.
        features=host.features + ",-prefer-256-bit",
        opt=_CODEGEN_LEVEL,
        jit=True,
    )


_target = cache(_new_target)


@cache
def _linker() -> Any:
    import llvmlite.binding as llvm

    return llvm.create_lljit_compiler(_target())


def llvm_version() -> str:
    """The version of the LLVM inside llvmlite, for cache keys."""
    import llvmlite.binding as llvm

    return ".".join(str(part) for part in llvm.llvm_version_info)


def compile_object(ir_text: str, inline: bool = False) -> bytes:
    """Emit the object of an IR module. Errors: RuntimeError with LLVM's message for bad IR.

    inline: put functions in the place of their calls where the text says so (`alwaysinline`).
    """
    import llvmlite.binding as llvm

    with _lock:
        target = _target()
        module = llvm.parse_assembly(ir_text)
        if inline:
            passes = llvm.create_new_module_pass_manager()
            passes.add_always_inliner_pass()
            passes.run(module, llvm.create_pass_builder(target, _tuning()))
        return target.emit_object(module)


def _tuning() -> Any:
    import llvmlite.binding as llvm

    return llvm.create_pipeline_tuning_options(speed_level=1)


def compile_objects(ir_texts: Sequence[str]) -> list[bytes]:
    """Emit the objects of several modules, on as many threads as there are cores. Errors: those of
    `compile_object`, of the first module that has one."""
    began = time.perf_counter()
    count = min(len(ir_texts), usable_cores())
    try:
        if count < 2:
            return [compile_object(text) for text in ir_texts]
        with _lock:
            return _in_threads(ir_texts, [_new_target() for _ in range(count)])
    finally:
        _spent[0] += time.perf_counter() - began
        _spent[1] += len(ir_texts)
        if sum(map(len, ir_texts)) > _MUCH:
            _give_back()


def _give_back() -> None:
    """What LLVM has freed goes back to the system; the C library would keep it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)


def spent_seconds() -> float:
    """In LLVM, of this process."""
    return _spent[0]


def emitted_count() -> int:
    """Modules that LLVM has compiled in this process."""
    return int(_spent[1])


def _in_threads(texts: Sequence[str], targets: list[Any]) -> list[bytes]:
    """A thread per target takes one text after the other."""
    images = [b""] * len(texts)
    waiting = deque(range(len(texts)))
    errors: dict[int, BaseException] = {}

    def work(target: Any) -> None:
        while waiting and not errors:
            number = waiting.popleft()
            try:
                images[number] = _emitted(target, texts[number])
            except BaseException as error:
                errors[number] = error

    threads = [threading.Thread(target=work, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[min(errors)]
    return images


def _emitted(target: Any, text: str) -> bytes:
    """The object of a module that shares nothing with others: its context and target are its own.
    llvmlite lets one thread at a time into LLVM, which needs no such care with these."""
    import llvmlite.binding as llvm
    from llvmlite.binding import ffi

    name = "LLVMPY_TargetMachineEmitToMemory"
    guarded = getattr(ffi.lib, name)
    emit = ctypes.CDLL(ffi.lib._name)[name]
    emit.argtypes, emit.restype = guarded.argtypes, guarded.restype
    with llvm.create_context() as context, llvm.parse_assembly(text, context) as module:
        with ffi.OutputString() as message:
            memory = emit(target, module, 1, message)
            if not memory:
                raise RuntimeError(str(message))
        try:
            start = ffi.lib.LLVMPY_GetBufferStart(memory)
            return ctypes.string_at(start, ffi.lib.LLVMPY_GetBufferSize(memory))
        finally:
            ffi.lib.LLVMPY_DisposeMemoryBuffer(memory)


def load_object(image: bytes, exports: Sequence[str], sizes: Sequence[int] = ()) -> Library:
    """Link an object into the process, or several that lie one after the other, each of its size.
    Errors: RuntimeError for unknown symbols."""
    import llvmlite.binding as llvm

    with _lock:
        builder = llvm.JITLibraryBuilder().add_current_process()
        start = 0
        for size in sizes or (len(image),):
            builder.add_object_img(image[start : start + size])
            start += size
        for name in exports:
            builder.export_symbol(name)
        tracker = builder.link(_linker(), f"gemel{next(_numbers)}")
        return Library(tracker, {name: tracker[name] for name in exports}, len(image))


def linked_bytes() -> int:
    """Of the objects whose code this process holds."""
    return sum(library.nbytes for library in list(_living))


def load(code: str | bytes, exports: Sequence[str]) -> Library:
    """Link IR text (compiled first) or an object."""
    return load_object(compile_object(code) if isinstance(code, str) else code, exports)


def assembly(ir_text: str) -> str:
    """The machine code of an IR module as text, to look at."""
    import llvmlite.binding as llvm

    with _lock:
        target = _target()
        return target.emit_assembly(llvm.parse_assembly(ir_text))
