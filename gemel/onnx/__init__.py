"""ONNX models on Gemel: `model = gemel.onnx.load("model.onnx"); y = model(x)`.

Role: reads a model, and records each of its operators as a call on the engine's tensors. In: a
path, bytes or `onnx.ModelProto`; tensors of a face, or NumPy arrays. Out: the same kind of values;
gradients flow to tensors. Needs the `onnx` package, an optional extra.
"""

from .model import Model as Model
from .model import load as load
from .operators import supported as supported
