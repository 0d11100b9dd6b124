"""Compiled objects on disk, so that nothing is compiled twice.

Role: a content-addressed store shared by many processes. Input: a key text chosen by the caller
(it must hold everything the object depends on except machine, LLVM and Gemel, which are added
here). Output: the object and its metadata. Directory: GEMEL_CACHE (`off` disables the store), else
~/.cache/gemel. Size bound: GEMEL_CACHE_LIMIT bytes, 1 GiB by default, least recently used first.

Invariants: an entry is one file, written beside its place and renamed, so readers see all of it or
nothing; an entry whose checksum fails is deleted and reported as missing. A store that cannot be
written warns once and the program goes on compiling.

    entry = one line of JSON {"meta": ..., "size": bytes, "sha256": of the object}, then the object
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
import time
import warnings
from functools import cache
from pathlib import Path

_LIMIT = 1 << 30
# Trimming goes below the limit, so that not every store has to trim again.
_TRIM_TO = 0.8
# Into how many parts the bound is divided for the scans.
_SCANS = 64
_SUFFIX = ".gemel"
# A hit renews the file's time at most this often (seconds): a write per hit would cost more.
_RENEW_AFTER = 3600.0


def directory() -> Path | None:
    """Where entries live, or None when the cache is off."""
    chosen = os.environ.get("GEMEL_CACHE", "")
    if chosen.lower() == "off":
        return None
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "gemel"


def limit() -> int:
    """The size bound in bytes. Errors: ValueError for a GEMEL_CACHE_LIMIT that is no number."""
    text = os.environ.get("GEMEL_CACHE_LIMIT", "")
    if not text:
        return _LIMIT
    if not text.isdigit():
        raise ValueError(f"GEMEL_CACHE_LIMIT must be a number of bytes, got {text!r}")
    return int(text)


def lookup(key: str) -> tuple[dict, bytes] | None:
    """The metadata and object stored under a key, or None."""
    path = _path(key)
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError:
        return None
    entry = _decode(data)
    if entry is None:
        _remove(path)
        return None
    _renew(path)
    return entry


def store(key: str, meta: dict, image: bytes) -> None:
    """Keep an object; `meta` is anything JSON can hold."""
    path = _path(key)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, _encode(meta, image))
    except OSError as error:
        warnings.warn(
            f"the object cache in {path.parent} cannot be written ({error}); "
            "set GEMEL_CACHE to another directory or to off",
            RuntimeWarning,
            stacklevel=2,
        )
        return
    _account(len(image))


def stats() -> dict:
    """The directory, the number of entries, their bytes and the limit."""
    place = directory()
    entries = _entries(place)
    return {
        "directory": None if place is None else str(place),
        "entries": len(entries),
        "bytes": sum(size for _, size, _ in entries),
        "limit": limit(),
    }


def clear() -> int:
    """Delete every entry; returns how many."""
    entries = _entries(directory())
    for _, _, path in entries:
        _remove(path)
    return len(entries)


def _path(key: str) -> Path | None:
    place = directory()
    if place is None:
        return None
    digest = hashlib.sha256(f"{_environment()}\n{key}".encode()).hexdigest()
    return place / digest[:2] / (digest + _SUFFIX)


@cache
def _environment() -> str:
    """What every object depends on besides its key."""
    from gemel.runtime.jit import llvm_version
    from gemel.runtime.machine import machine

    # No generated code depends on how many cores the process may use.
    host = dataclasses.replace(machine(), cores=0)
    return f"{host}\n{llvm_version()}\n{_source_stamp()}"


def _source_stamp() -> str:
    """Gemel's version, and the state of its generators: an edited checkout must not read
    objects that the code before the edit made."""
    import gemel

    package = Path(gemel.__file__).parent
    marks: list[tuple[str, int, int]] = []
    for folder in ("codegen", "passes", "ops", "graph", "autodiff"):
        _mark(package / folder, marks)
    digest = hashlib.sha256(repr(marks).encode()).hexdigest()
    return f"{gemel.__version__} {digest}"


def _mark(folder: Path, marks: list[tuple[str, int, int]]) -> None:
    """Name, time and size of every source below the folder."""
    for entry in sorted(os.scandir(folder), key=lambda item: item.name):
        if entry.name.endswith(".py"):
            status = entry.stat()
            marks.append((entry.name, status.st_mtime_ns, status.st_size))
        elif entry.is_dir() and entry.name != "__pycache__":
            _mark(Path(entry.path), marks)


def _encode(meta: dict, image: bytes) -> bytes:
    digest = hashlib.sha256(image).hexdigest()
    header = {"meta": meta, "size": len(image), "sha256": digest}
    return json.dumps(header).encode() + b"\n" + image


def _decode(data: bytes) -> tuple[dict, bytes] | None:
    head, _, image = data.partition(b"\n")
    try:
        header = json.loads(head)
        meta, size, digest = header["meta"], header["size"], header["sha256"]
    except (ValueError, KeyError, TypeError):
        return None
    if len(image) != size or hashlib.sha256(image).hexdigest() != digest:
        return None
    return meta, image


def _write(path: Path, data: bytes) -> None:
    """Write beside the place, then rename: concurrent writers of one key agree on the content."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        _remove(Path(name))
        raise


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        # Another process was faster, or the directory is read-only: both leave a valid store.
        pass


def _renew(path: Path) -> None:
    try:
        if time.time() - path.stat().st_mtime > _RENEW_AFTER:
            os.utime(path)
    except OSError:
        pass


def _entries(place: Path | None) -> list[tuple[float, int, Path]]:
    """(time of last use, bytes, path) of each entry."""
    if place is None:
        return []
    found = []
    for path in place.glob(f"??/*{_SUFFIX}"):
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((status.st_mtime, status.st_size, path))
    return found


def _account(size: int) -> None:
    """Scan and trim now and then.

    A scan reads the whole directory, which a process that stores one object must not wait for. It
    is made by chance, so that nothing has to be remembered between processes: on average once for
    each part of the bound that was written.
    """
    bound = limit()
    # Not from Python's own stream: a program's seed is its own.
    chance = int.from_bytes(os.urandom(4), "little") / 2**32
    if chance * bound > size * _SCANS:
        return
    entries = sorted(_entries(directory()))
    total = sum(entry[1] for entry in entries)
    if total > bound:
        _trim(entries, total, int(bound * _TRIM_TO))


def _trim(entries: list[tuple[float, int, Path]], total: int, goal: int) -> None:
    """Delete the least recently used entries until the total is at the goal."""
    for _, size, path in entries:
        if total <= goal:
            break
        _remove(path)
        total -= size
