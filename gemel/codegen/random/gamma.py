"""The kernel of TensorFlow's gamma samples.

Role: Marsaglia and Tsang's rejection (2000) with the buffers of TensorFlow's code: normals and
uniforms come in pairs from a block of Philox words each, and the second of a pair is used first.
Every sample has its own run of counters.
"""

from __future__ import annotations

from gemel.codegen.llvm import Function, Module, Value
from gemel.codegen.native import ALONE, ELEMENTS, libm, shared
from gemel.codegen.random.constants import GAMMA_RESERVE
from gemel.codegen.random.philox import Philox, box_muller, unit64

# no sample has been seen to need more than a few
_ATTEMPTS = GAMMA_RESERVE // 2


class _Pairs:
    """Doubles in pairs from the blocks of words at a shared place, on the stack."""

    def __init__(self, f: Function, source: Philox, place: Value, kind: str):
        self.f = f
        self.source = source
        self.place = place
        self.normal = kind == "normal"
        self.pair = f.alloca("double", 2)
        self.left = f.alloca("i64", 1)

    def clear(self) -> None:
        self.f.store(self.f.constant(0, "i64"), self.left)

    def next(self) -> Value:
        f = self.f
        with f.when(f.compare("==", f.load(self.left, "i64"), 0)):
            at = f.load(self.place, "i64")
            words = self.source.block(at)
            f.store(at + 1, self.place)
            for i, x in enumerate(self._doubles(words)):
                f.store(x, f.gep(self.pair, i, "double"))
            f.store(f.constant(2, "i64"), self.left)
        left = f.load(self.left, "i64") - 1
        f.store(left, self.left)
        return f.load(f.gep(self.pair, left, "double"), "double")

    def _doubles(self, words: list[Value]) -> list[Value]:
        if self.normal:
            return box_muller(self.f, words, "double")
        return [unit64(self.f, *words[:2]), unit64(self.f, *words[2:])]


def _sample(f: Function, state: Value, first: Value, alpha: Value) -> None:
    """double (ptr state, i64 first counter, double alpha): one sample."""
    source = Philox(f, state)
    place = f.alloca("i64", 1)
    f.store(first, place)
    normals, uniforms = (_Pairs(f, source, place, kind) for kind in ("normal", "uniform"))
    normals.clear()
    uniforms.clear()
    with f.when(f.compare("==", alpha, 1.0)):
        f.ret(-libm(f, "log1p", -uniforms.next()))
    small = alpha < 1.0
    d = alpha + f.select(small, f.constant(2.0 / 3, "double"), f.constant(-1.0 / 3, "double"))
    c = f.fdiv(1.0 / 3, f.sqrt(d))
    with f.loop(0, _ATTEMPTS):
        x = normals.next()
        v = c * x + 1.0
        with f.when(v > 0.0):
            v = v * v * v
            u = uniforms.next()
            with f.when(_accepted(f, x, v, u, d)):
                with f.when(small):
                    b = uniforms.next()
                    f.ret(d * v * libm(f, "pow", b, f.fdiv(1.0, alpha)))
                f.ret(d * v)


def _accepted(f: Function, x: Value, v: Value, u: Value, d: Value) -> Value:
    square = x * x
    squeezed = u < 1.0 - (square * 0.0331) * square
    inside = libm(f, "log", u) < x * 0.5 * x + d * (1.0 - v + libm(f, "log", v))
    return squeezed | inside


def emit_gamma(module: Module, name: str, attrs, arguments, result) -> None:
    """attrs: (samples, DType); arguments: Philox state, float64 [k]; result [samples, k]."""
    samples, dtype = attrs
    parameters = [("ptr", "state"), ("i64", "first"), ("double", "alpha")]
    one = module.functions.get("gamma_sample")
    if one is None:
        one = module.function("gamma_sample", parameters, "double", internal=True, inline=False)
        _sample(one, *one.arguments)
        one.ret(one.constant(float("nan"), "double"))
    elem = ELEMENTS[dtype.name]

    def every(f: Function, state: Value, alphas: Value, out: Value, k: Value, n: Value) -> None:
        with f.loop(0, k) as column:
            alpha = f.load(f.gep(alphas, column.index, "double"), "double")
            with f.loop(0, n) as row:
                number = f.add(f.mul(column.index, n), row.index)
                drawn = f.call(one, state, f.mul(number, GAMMA_RESERVE), alpha)
                target = f.gep(out, f.add(f.mul(row.index, k), column.index), elem)
                f.store(f.convert(drawn, elem), target)

    pointers = [(ALONE, "state"), (ALONE, "alphas"), (ALONE, "out"), ("i64", "k"), ("i64", "n")]
    callee = shared(module, f"gamma_{elem}", pointers, every)
    f = module.function(name, [("ptr", "state"), ("ptr", "alphas"), ("ptr", "out")])
    f.call(callee, *f.arguments, arguments[1].size, samples)
    f.ret()
