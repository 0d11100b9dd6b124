"""The backend of `onnx.backend`: what its tests call."""

from __future__ import annotations

from onnx import TensorProto
from onnx.backend.base import Backend, BackendRep

from .applied import tensor_array
from .model import Model, load


def _array(x):
    return tensor_array(x) if isinstance(x, TensorProto) else x


class Prepared(BackendRep):
    """A loaded model that is given arrays in the order of its inputs."""

    def __init__(self, model: Model):
        self.model = model

    def run(self, inputs, **options) -> tuple:
        made = self.model(*(_array(x) for x in inputs))
        return made if isinstance(made, tuple) else (made,)


class GemelBackend(Backend):
    """Models of ONNX on Gemel's CPU."""

    @classmethod
    def prepare(cls, model, device: str = "CPU", **options) -> Prepared:
        return Prepared(load(model))

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU"


prepare = GemelBackend.prepare
run_model = GemelBackend.run_model
supports_device = GemelBackend.supports_device
