"""`gemel doctor`: what Gemel found on this machine.

Role: one screen for a bug report, and for a user who wonders why it is slow. Input: the machine.
Output: lines on standard output; status 0. Invariant: it needs no GPU, no Keras and no network,
and says of each whether it is there.
"""

import ctypes
import os
import platform
import sys
from importlib import metadata

from gemel import __version__
from gemel.cli import cache

PACKAGES = ("numpy", "ml_dtypes", "llvmlite", "keras", "h5py", "rich")
DRIVERS = ("libcuda.so.1", "nvcuda.dll")
# Instruction sets worth telling; the machine's own list has hundreds of entries.
FEATURES = (
    "sse4.2 avx avx2 fma f16c avx512f avx512vl avx512bw avx512dq avx512bf16 avx512fp16 avx512vnni "
    "amx-tile amx-bf16 neon asimd fullfp16 bf16 sve sve2"
).split()


def command(options) -> int:
    """Entry of the command line."""
    for title, rows in (
        ("Versions", _versions()),
        ("CPU", _cpu()),
        ("Object cache", cache.rows()),
        ("GPU", _gpu()),
    ):
        print(title)
        for name, value in rows:
            print(f"  {name:14s} {value}")
    return 0


def _versions() -> list[tuple[str, str]]:
    rows = [("gemel", __version__), ("python", f"{platform.python_version()} ({sys.executable})")]
    for package in PACKAGES:
        try:
            rows.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            rows.append((package, "not installed"))
    return rows


def _cpu() -> list[tuple[str, str]]:
    from gemel.runtime.jit import llvm_version
    from gemel.runtime.machine import machine

    found = machine()
    there = {item[1:] for item in found.features.split(",") if item.startswith("+")}
    kept = " ".join(name for name in FEATURES if name in there)
    return [
        ("llvm", str(llvm_version())),
        ("name", f"{found.cpu} ({platform.machine()})"),
        ("features", kept or "none of the usual ones"),
        ("vector", f"{found.vector_bytes * 8} bits, {found.vector_registers} registers"),
        ("caches", ", ".join(cache.amount(size) for size in (found.l1, found.l2, found.l3))),
        ("threads", f"{found.cores} usable of {os.cpu_count()}"),
    ]


def _gpu() -> list[tuple[str, str]]:
    driver = _driver()
    if driver is None:
        return [("found", "no (no CUDA driver)")]
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return [("found", "no (the CUDA driver does not start)")]
    names = [_device_name(driver, index) for index in range(count.value)]
    return [("found", ", ".join(names) if names else "no (the CUDA driver lists no device)")]


def _driver() -> ctypes.CDLL | None:
    for name in DRIVERS:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _device_name(driver: ctypes.CDLL, index: int) -> str:
    device = ctypes.c_int(0)
    text = ctypes.create_string_buffer(256)
    if driver.cuDeviceGet(ctypes.byref(device), index) != 0:
        return f"device {index}"
    driver.cuDeviceGetName(text, len(text), device)
    return text.value.decode(errors="replace")
