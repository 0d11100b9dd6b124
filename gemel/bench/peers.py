"""Frameworks that can be measured, and what each is told about threads.

Role: one record a framework. Input: what is installed. Output: how to start its worker process.
Invariant: a framework keeps its own defaults in everything but threads and devices, since that is
what its users get; nothing here imports one.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata

GEMEL = "gemel"
FLOAT32 = "Gemel float32"  # what Gemel in a lower type is measured against: a peer
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "GEMEL_NUM_THREADS",
)
XLA_ONE = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


@dataclass(frozen=True)
class Peer:
    """A framework's worker. `labels`: variant of a workload -> its name in the tables.

    needed   modules without which there is no such worker
    wanted   variant -> modules that it needs besides
    """

    name: str
    needed: tuple[str, ...]
    labels: Mapping[str, str]
    wanted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def variants(self) -> dict[str, str]:
        """The variants that this installation can run, with their names."""
        if not _there(self.needed):
            return {}
        return {v: n for v, n in self.labels.items() if _there(self.wanted.get(v, ()))}


PEERS = (
    Peer(
        GEMEL,
        ("numpy", "llvmlite"),
        {
            "torch": "Gemel torch",
            "torch compiled": "Gemel compiled",
            "torch bulk": "Gemel bulk",
            "kernel": "Gemel kernel",
            "keras": "Gemel Keras",
            "float32": FLOAT32,
        },
        {"keras": ("keras",)},
    ),
    Peer(
        "torch",
        ("torch",),
        {
            "torch": "PyTorch",
            "torch fused": "PyTorch fused",
            "torch compiled": "PyTorch compiled",
        },
    ),
    Peer(
        "tensorflow",
        ("tensorflow",),
        {"tensorflow": "TensorFlow", "keras": "Keras on TF"},
        {"keras": ("keras",)},
        {"KERAS_BACKEND": "tensorflow"},
    ),
    Peer(
        "jax",
        ("jax",),
        {"jax": "JAX", "keras": "Keras on JAX"},
        {"keras": ("keras",)},
        {"KERAS_BACKEND": "jax"},
    ),
    Peer("numpy", ("numpy",), {"numpy": "NumPy"}),
)
BY_NAME = {peer.name: peer for peer in PEERS}
OWN = frozenset(BY_NAME[GEMEL].labels.values()) - {FLOAT32}
PACKAGES = ("numpy", "llvmlite", "torch", "tensorflow", "tensorflow-cpu", "jax", "keras")


def environment(peer: Peer, threads: int) -> dict[str, str]:
    """The variables of a worker's process."""
    settings = dict(os.environ)
    settings.update(QUIET, TF_NUM_INTEROP_THREADS="1", **peer.settings)
    settings.update(dict.fromkeys(THREADS, str(threads)))
    if threads == 1:
        settings["XLA_FLAGS"] = f"{settings.get('XLA_FLAGS', '')} {XLA_ONE}".strip()
    return settings


def versions() -> dict[str, str]:
    """Package -> version, of those that are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _there(modules: tuple[str, ...]) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in modules)
