"""`compute_output_spec`: shapes and dtypes of a function of Keras, without computing anything.

Unknown sizes are tried as two different numbers; what differs between the two results is unknown.
"""

from __future__ import annotations

from keras.src import tree
from keras.src.backend.common.keras_tensor import KerasTensor
from keras.src.backend.common.stateless_scope import StatelessScope
from keras.src.backend.common.symbolic_scope import SymbolicScope

from gemel import tensor as lazy
from gemel.graph.form import form

from .tensors import dtype_of, tensor_class

PROBES = (83, 89)


def _tried(fn, args, kwargs, size: int):
    """fn's result where unknown sizes are `size`."""
    given = tree.flatten((args, kwargs))
    places = [i for i, x in enumerate(given) if isinstance(x, KerasTensor)]
    forms = [
        form(tuple(size if n is None else n for n in given[i].shape), dtype_of(given[i].dtype))
        for i in places
    ]

    def run(*tensors):
        filled = list(given)
        for i, t in zip(places, tensors, strict=True):
            filled[i] = t
        new_args, new_kwargs = tree.pack_sequence_as((args, kwargs), filled)
        return fn(*new_args, **new_kwargs)

    # a scope for each try: what one assigns must not reach the next. It ends after the recording,
    # since that is when new variables get their values, all in one program
    with StatelessScope(), SymbolicScope():
        return lazy.abstract(run, forms, tensor_class())


def _spec(first, second=None):
    if not isinstance(first, lazy.Tensor):
        return first
    shape = first.form.shape
    if second is not None:
        pairs = zip(shape, second.form.shape, strict=True)
        shape = tuple(a if a == b else None for a, b in pairs)
    return KerasTensor(shape, first.form.dtype.name)


def compute_output_spec(fn, *args, **kwargs):
    """The structure of fn's result with KerasTensors in place of tensors."""
    unknown = any(
        isinstance(x, KerasTensor) and None in x.shape for x in tree.flatten((args, kwargs))
    )
    first = _tried(fn, args, kwargs, PROBES[0])
    if not unknown:
        return tree.map_structure(_spec, first)
    second = _tried(fn, args, kwargs, PROBES[1])
    found = [
        _spec(a, b if isinstance(b, lazy.Tensor) else None)
        for a, b in zip(tree.flatten(first), tree.flatten(second), strict=True)
    ]
    return tree.pack_sequence_as(first, found)
