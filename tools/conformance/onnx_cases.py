"""The node cases of `onnx.backend.test`: small models with inputs and expected outputs.

Counted are those whose values are plain numeric tensors: no strings, sequences, optional values,
and no element types below 8 bits or of 8-bit floats.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.runner import Runner

PLAIN = frozenset(
    getattr(onnx.TensorProto, name)
    for name in (
        "FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "INT16", "INT32", "INT64", "UINT8",
        "UINT16", "UINT32", "UINT64", "BOOL",
    )
)  # fmt: skip


@cache
def cases() -> dict[str, object]:
    """name -> case, of those with plain values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in collect_testcases(None) if _is_plain(case.model)}


def _is_plain(model) -> bool:
    values = [*model.graph.input, *model.graph.output]
    return all(
        v.type.WhichOneof("value") == "tensor_type" and v.type.tensor_type.elem_type in PLAIN
        for v in values
    )


def group(name: str) -> str:
    """The operator that a case is about; the bodies of functions are a group of their own."""
    case = cases()[name]
    if "_expanded" in name:
        return "(function bodies)"
    return case.model.graph.node[-1].op_type  # type: ignore[attr-defined]


def examine(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """(name, what went wrong or "") of each case."""
    warnings.simplefilter("ignore")
    return [(name, _fault(cases()[name])) for name in names]


def _fault(case) -> str:
    from gemel.onnx.backend import GemelBackend

    try:
        prepared = GemelBackend.prepare(case.model)
        for inputs, wanted in case.data_sets:
            expected = [_array(x) for x in wanted]
            Runner.assert_similar_outputs(expected, prepared.run(inputs), case.rtol, case.atol)
    except Exception as problem:
        return f"{type(problem).__name__}: {' '.join(str(problem).split())[:120]}"
    return ""


def _array(value) -> np.ndarray:
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
