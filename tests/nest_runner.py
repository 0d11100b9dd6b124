"""Runs the nests of a graph piece by piece, each in a native function of its own."""

from __future__ import annotations

import ctypes

import numpy as np

from gemel.codegen.emitter import Typed, element
from gemel.codegen.llvm import Module
from gemel.codegen.nest import Nest
from gemel.codegen.nests.pieces import NestStrategy
from gemel.graph.node import Node
from gemel.passes.layout import lay_out
from gemel.passes.schedule import schedule
from gemel.passes.simplify import simplify
from gemel.runtime import jit


def nests_of(outputs: list[Node]):
    """(kernels of the graph, its results); every section is a nest."""
    results = lay_out(simplify(outputs))
    kernels = schedule(results, {}).kernels
    assert all(isinstance(s, Nest) for k in kernels for s in k.sections)
    return kernels, results


class PieceRunner:
    """One nest: `strategy`, and `run(addresses, shared, order)`."""

    def __init__(self, nest: Nest, buffers: int):
        self.strategy = NestStrategy(nest)
        module = Module()
        for stage in range(len(self.strategy.stages)):
            self._stage(module, stage, buffers)
        names = [f"stage{i}" for i in range(len(self.strategy.stages))]
        self._library = jit.load(module.text(), names)
        kinds = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p]
        self._functions = [self._library.function(name, None, *kinds) for name in names]

    def _stage(self, module: Module, stage: int, buffers: int) -> None:
        head = [("ptr", "table"), ("i64", "piece"), ("ptr", "shared")]
        f = module.function(f"stage{stage}", head)
        table, piece, shared = f.arguments
        pointers = [f.load(f.gep(table, i, "i64"), "ptr") for i in range(buffers)]

        def number(f, e):
            return Typed(f.constant(1, element(e.dtype)), e.dtype)

        self.strategy.emit(f, stage, piece, pointers, number, None, shared)
        f.ret()

    def run(self, addresses: list[int], shuffle) -> None:
        """All stages; `shuffle(list of pieces)` gives the order within a stage."""
        table = (ctypes.c_uint64 * len(addresses))(*addresses)
        shared = np.full(self.strategy.shared_bytes + 64, 0xA5, np.uint8)
        at = -(-shared.ctypes.data // 64) * 64
        for function, pieces in zip(self._functions, self.strategy.stages, strict=True):
            for piece in shuffle(list(range(pieces))):
                function(table, piece, at)


def run_graph(outputs: list[Node], inputs: list[np.ndarray], shuffle, move=lambda x: x):
    """Results of a graph of nests, and the strategies that computed them.

    move(array) -> the array in the memory where it is to lie
    """
    kernels, results = nests_of(outputs)
    memory: dict[Node, np.ndarray] = {}
    strategies = []
    for kernel in kernels:
        places = []
        for node in kernel.buffers:
            if node.op.name == "leaf":
                memory[node] = move(inputs[node.attrs[0]])
            elif node not in memory:
                memory[node] = move(np.zeros(node.shape, node.dtype.numpy))
            places.append(memory[node].ctypes.data)
        for section in kernel.sections:
            runner = PieceRunner(section, len(places))
            runner.run(places, shuffle)
            strategies.append(runner.strategy)
    return [memory[r] for r in results], strategies
