"""`torch.save` and `torch.load`: PyTorch's zip files, written and read without running code.

A file is a zip archive without compression: `data.pkl` describes the value, `data/0`, `data/1`, ...
hold the storages. Files written here are read by PyTorch with `weights_only=True`.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from gemel.graph.form import DType, form
from gemel.runtime.buffer import Buffer
from gemel.tensor import array_of, offset, strides, wrap
from gemel.tensor.tensor import over

from . import dtypes
from .device import check_device, device
from .nn.parameter import Parameter
from .pickle_reader import DamagedFile, PickleReader
from .pickle_writer import PickleWriter
from .size import Size
from .tensor import Tensor

# what zipfile raises for archives that are damaged
ZIP_ERRORS = (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, struct.error)
ALIGNMENT = 64  # of the storages in the file, so that they can be mapped
# element types that have no storage class in PyTorch: their storages are plain bytes
_UNTYPED = (dtypes.uint16, dtypes.uint32, dtypes.uint64)
_STORAGES = {f"{d._short}Storage": d.engine for d in dtypes.ALL if d not in _UNTYPED}
_STORAGE_NAMES = {held: name for name, held in _STORAGES.items()}
_BYTES = dtypes.uint8.engine
_FOREIGN = ("QInt8Storage", "QUInt8Storage", "QInt32Storage")


# ---------- saving ----------
class _Storages:
    """The storages of a file in the order in which they are met."""

    def __init__(self):
        self.number: dict[int, int] = {}
        self.arrays: list = []
        self.kept: list = []

    def add(self, t: Tensor) -> tuple[int, int]:
        """(number, cells) of the storage of a tensor."""
        st = t.st
        if id(st) not in self.number:
            self.number[id(st)] = len(self.arrays)
            self.kept.append(st)
            self.arrays.append(array_of(over(st, Tensor)))
        return self.number[id(st)], st.form.size

    def write(self, writer: PickleWriter, t: Tensor) -> None:
        """The instructions that rebuild a tensor."""
        plain = t.detach() if isinstance(t, Parameter) else t
        if strides(plain) is None:
            plain = plain.clone()
        number, cells = self.add(plain)
        arguments = _Rebuilt(plain, number, cells, t.requires_grad and plain is t)
        if plain is t:
            arguments.write(writer)
        else:
            writer.name("torch._utils", "_rebuild_parameter")
            writer.out += b"("
            arguments.write(writer)
            writer.write(t.requires_grad)
            writer.call("collections", "OrderedDict")
            writer.out += b"tR"
        writer.remember(t)


class _Rebuilt:
    """One tensor as `_rebuild_tensor_v2` takes it, or `_rebuild_tensor_v3` over plain bytes."""

    def __init__(self, t: Tensor, number: int, cells: int, requires_grad: bool):
        self.tensor = t
        self.number = number
        self.cells = cells
        self.requires_grad = requires_grad

    def write(self, writer: PickleWriter) -> None:
        t = self.tensor
        typed = _STORAGE_NAMES.get(t.form.dtype)
        writer.name("torch._utils", f"_rebuild_tensor_v{2 if typed else 3}")
        writer.out += b"(("
        writer.write("storage")
        writer.name("torch" if typed else "torch.storage", typed or "UntypedStorage")
        writer.write(str(self.number))
        writer.write("cpu")
        writer.write(self.cells if typed else self.cells * t.form.dtype.itemsize)
        writer.out += b"tQ"
        writer.write(offset(t))
        writer.write(tuple(t.form.shape))
        writer.write(tuple(strides(t)))
        writer.write(self.requires_grad)
        writer.call("collections", "OrderedDict")
        if not typed:
            writer.write(t.dtype)
        writer.out += b"tR"


def save(
    obj: Any,
    f,
    pickle_module=None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Write tensors and plain Python values to a path or a binary file.

    pickle.PicklingError for anything that could not be loaded without running code.
    """
    if not _use_new_zipfile_serialization:
        raise ValueError("torch.save: only the zip format is written")
    storages = _Storages()
    description = PickleWriter(storages.write).finished(obj)
    stem = Path(f).stem if isinstance(f, str | os.PathLike) else "archive"
    target = f if isinstance(f, str | os.PathLike) else _Stream(f)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, f"{stem}/data.pkl", description)
        _add(archive, f"{stem}/byteorder", b"little")
        for number, array in enumerate(storages.arrays):
            _add(archive, f"{stem}/data/{number}", array.tobytes())
        _add(archive, f"{stem}/version", b"3\n")


class _Stream(io.RawIOBase):
    """A binary file of the caller: written from where it stands, left open."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        self.file.write(data)
        return len(data)

    def writable(self) -> bool:
        return True

    def flush(self):
        pass


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """A member whose data begins at a multiple of the alignment."""
    info = zipfile.ZipInfo(name)
    head = archive.fp.tell() + zipfile.sizeFileHeader + len(name) + 4
    info.extra = struct.pack("<HH", 0x4246, -head % ALIGNMENT) + b"Z" * (-head % ALIGNMENT)
    archive.writestr(info, data)


# ---------- loading ----------
class _Archive:
    """An open file: its members, and the tensors made of its storages."""

    def __init__(self, archive: zipfile.ZipFile, name: str):
        self.archive = archive
        self.name = name
        pickles = [n for n in archive.namelist() if n.endswith("/data.pkl") or n == "data.pkl"]
        if len(pickles) != 1:
            raise DamagedFile(f"{name}: this zip archive is no tensor file: it has no data.pkl")
        self.prefix = pickles[0][: -len("data.pkl")]
        self.bases: dict[str, Tensor] = {}
        order = self.member("byteorder") if self.has("byteorder") else b"little"
        if order != b"little":
            raise ValueError(f"{name}: byte order {order.decode()!r} is not supported")

    def has(self, member: str) -> bool:
        return self.prefix + member in self.archive.NameToInfo

    def member(self, member: str) -> bytes:
        try:
            return self.archive.read(self.prefix + member)
        except KeyError:
            raise DamagedFile(f"{self.name}: the record {member} is missing") from None
        except ZIP_ERRORS as problem:
            at = self.archive.getinfo(self.prefix + member).header_offset
            raise DamagedFile(
                f"{self.name}: the record {member} at byte {at} is damaged: {problem}"
            ) from None

    def storage(self, key) -> tuple[str, DType, int]:
        """A persistent id as (record, element type, cells)."""
        kind, held, record, _, cells = key  # the device does not matter: files hold plain bytes
        if kind != "storage" or not isinstance(held, DType):
            raise ValueError(f"{key!r} is no storage")
        return f"data/{record}", held, cells

    def tensor(
        self, storage, start, size, stride, requires_grad=False, hooks=None, metadata=None
    ) -> Tensor:
        """A tensor over a storage of the file; tensors over one storage share it."""
        record, held, cells = storage
        shape, steps = tuple(size), tuple(stride)
        last = start + sum((n - 1) * s for n, s in zip(shape, steps, strict=True))
        if start < 0 or (0 not in shape and last >= cells) or min(shape, default=0) < 0:
            raise ValueError(
                f"a tensor of size {list(shape)} and stride {list(steps)} at {start} "
                f"does not fit record {record} of {cells} values"
            )
        base = self.bases.get(record)
        whole = form(shape, held)
        if base is None:
            fits = start == 0 and whole.size == cells and steps == _row_major(shape)
            base = self._read(record, whole if fits else form((cells,), held))
            self.bases[record] = base
        made = base.detach()
        if base.form is not whole or start or strides(base) != steps:
            made = base.as_strided(shape, steps, start)
        return made.requires_grad_() if requires_grad else made

    def of_bytes(
        self, storage, start, size, stride, requires_grad=False, hooks=None, held=None,
        metadata=None,
    ) -> Tensor:  # fmt: skip
        """A tensor over a storage of plain bytes; its element type is given beside it."""
        record, _, nbytes = storage
        storage = record, held.engine, nbytes // held.itemsize
        return self.tensor(storage, start, size, stride, requires_grad)

    def _read(self, record: str, f) -> Tensor:
        data = self.member(record)
        if len(data) != f.nbytes:
            raise DamagedFile(
                f"{self.name}: the record {record} has {len(data)} bytes, {f.nbytes} are needed"
            )
        return wrap(Buffer.of(np.frombuffer(data, np.uint8)), f, Tensor)


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps = []
    step = 1
    for n in reversed(shape):
        steps.append(step)
        step *= max(n, 1)
    return tuple(reversed(steps))


def _encoded(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes encoded as {encoding}")
    return text.encode("latin1")


def _constructors(archive: _Archive) -> dict[str, Any]:
    """Everything that a file may name."""
    table: dict[str, Any] = {
        "collections OrderedDict": OrderedDict,
        "collections Counter": lambda given=(): Counter(given),
        "__builtin__ set": set,
        "builtins set": set,
        "_codecs encode": _encoded,
        "torch Size": Size,
        "torch device": device,
        "torch._utils _rebuild_tensor_v2": archive.tensor,
        "torch._utils _rebuild_tensor_v3": archive.of_bytes,
        "torch.storage UntypedStorage": _BYTES,
        "torch._utils _rebuild_parameter": lambda data, grad, hooks: Parameter(data, grad),
    }
    for d in dtypes.ALL:
        table[f"torch {d.name}"] = d
    for name, held in _STORAGES.items():
        table[f"torch {name}"] = held
    for name in _FOREIGN:
        table[f"torch {name}"] = _Refused(name)
    return table


class _Refused:
    """Stands for a storage class of an element type that is not held."""

    def __init__(self, name: str):
        self.name = name


def load(
    f,
    map_location=None,
    pickle_module=None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args,
) -> Any:
    """Read a file that `save` (or PyTorch's) wrote: a path or a seekable binary file.

    No code of the file runs, whatever `weights_only` says. RuntimeError for a file that is no
    tensor file or is damaged, pickle.UnpicklingError for contents that are not plain values; both
    name the file and the place. `map_location` can only be the CPU.
    """
    if not callable(map_location) and not isinstance(map_location, dict):
        check_device(map_location)
    name = str(f) if isinstance(f, str | os.PathLike) else getattr(f, "name", "<file>")
    if isinstance(f, str | os.PathLike) and not os.path.exists(f):
        raise FileNotFoundError(2, "No such file or directory", str(f))
    try:
        archive = zipfile.ZipFile(f)
    except ZIP_ERRORS as problem:
        raise DamagedFile(f"{name}: {_not_a_zip(f)} ({problem})") from None
    with archive:
        source = _Archive(archive, name)
        reader = PickleReader(
            source.member("data.pkl"), f"{name} (data.pkl)", _constructors(source), None
        )
        reader.persistent = lambda key: _persistent(source, reader, key)
        return reader.load()


def _persistent(source: _Archive, reader: PickleReader, key):
    if isinstance(key, tuple) and len(key) == 5 and isinstance(key[1], _Refused):
        raise reader.error(
            f"the file holds a torch.{key[1].name}, an element type that Gemel does not have"
        )
    return source.storage(key)


def _not_a_zip(f) -> str:
    """What is wrong with a file that is no zip archive."""
    if isinstance(f, str | os.PathLike):
        with open(f, "rb") as file:
            head = file.read(4)
    else:
        f.seek(0)
        head = f.read(4)
    if head[:2] == b"\x80\x02":
        return "a file of PyTorch's old format (before 1.6), which is not read; save it again"
    if head == b"PK\x03\x04":
        return "failed finding central directory: the file is cut off"
    return "not a tensor file"
