"""`backward`, `grad`, hooks and what a tensor shows of its history; errors in PyTorch's words."""

from __future__ import annotations

from contextlib import contextmanager

from gemel import tensor as lazy
from gemel.tensor import errors
from gemel.tensor.history import RELEASED
from gemel.tensor.lens import Lens
from gemel.tensor.state import CALL, WRITE, form_of, owner
from gemel.tensor.tape import LOCAL

from ..dtypes import FACE, short_name
from ..guards import MODES
from ..tensor import Tensor, attach

_SECOND = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward."
)


def _reworded(error: BaseException) -> str | None:
    """The error's text as PyTorch has it."""
    if isinstance(error, errors.FreedGraph):
        return _SECOND
    if isinstance(error, errors.NoGradient):
        return (
            f"element {error.position} of tensors does not require grad and does not have a grad_fn"
        )
    if isinstance(error, errors.ImplicitGradient):
        if error.form.dtype.is_complex and error.form.size == 1:
            return (
                "grad can be implicitly created only for real scalar outputs but got "
                f"{FACE[error.form.dtype]!r}"
            )
        return "grad can be implicitly created only for scalar outputs"
    if isinstance(error, errors.UnusedInput):
        return (
            "One of the differentiated Tensors appears to not have been used in the graph. Set "
            "allow_unused=True if this is the desired behavior."
        )
    if isinstance(error, errors.ModifiedInPlace):
        return (
            "one of the variables needed for gradient computation has been modified by an inplace "
            f"operation: [torch.{short_name(error.form.dtype)}Tensor {list(error.form.shape)}] is "
            f"at version {error.found}; expected version {error.expected} instead."
        )
    return None


@contextmanager
def _in_its_words():
    try:
        yield
    except RuntimeError as error:
        text = _reworded(error)
        if text is None:
            raise
        raise RuntimeError(text) from None


def _check_gradient(output: Tensor, gradient) -> None:
    if gradient is not None and gradient.form.shape != output.form.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[0] has a shape of {gradient.shape} and output[0] has "
            f"a shape of {output.shape}."
        )


def _tuple(x) -> tuple:
    return (x,) if isinstance(x, Tensor) or x is None else tuple(x)


@attach("backward")
def _backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
    """Add the gradients of this tensor to `.grad` of the leaves it depends on."""
    try:
        if gradient is None and inputs is None:
            return lazy.backward(self, None, retain_graph, create_graph)
        _check_gradient(self, gradient)
        inputs = None if inputs is None else list(_tuple(inputs))
        return lazy.backward(self, gradient, retain_graph, create_graph, inputs)
    except RuntimeError as error:
        text = _reworded(error)
        if text is None:
            raise
        raise RuntimeError(text) from None


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """`Tensor.backward` of several tensors at once."""
    tensors = _tuple(tensors)
    given = _tuple(grad_tensors) if grad_tensors is not None else (None,) * len(tensors)
    with _in_its_words():
        retain = create_graph if retain_graph is None else retain_graph
        inputs = None if inputs is None else list(_tuple(inputs))
        lazy.backward_all(list(tensors), list(given), retain, create_graph, inputs)


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False,
         only_inputs=True, allow_unused=None, is_grads_batched=False,
         materialize_grads=False) -> tuple:  # fmt: skip
    """The gradients of the outputs' sum (weighted by grad_outputs) for each input.

    RuntimeError where an input was not used, unless allow_unused (then None) or materialize_grads
    (then zeros).
    """
    if is_grads_batched:
        raise NotImplementedError("grad(is_grads_batched=True) is not there yet")
    outputs, inputs = _tuple(outputs), _tuple(inputs)
    given = None if grad_outputs is None else list(_tuple(grad_outputs))
    for o, g in zip(outputs, given or (), strict=False):
        _check_gradient(o, g)
    for x in inputs:
        if not lazy.requires_grad(x):
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    unused = bool(allow_unused) or materialize_grads
    with _in_its_words():
        found = lazy.grad(list(outputs), list(inputs), given, retain_graph, create_graph, unused)
    if materialize_grads:
        from ..creation import zeros_like

        found = [zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]
    return tuple(found)


# ---------- what a tensor shows ----------
def _set_requires_grad(self, flag=True) -> Tensor:
    """Make this tensor a leaf that collects gradients, or no longer one."""
    if flag and not self.form.dtype.is_smooth:
        raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
    if not flag and not self.lrg and lazy.requires_grad(self):
        raise RuntimeError(
            "you can only change requires_grad flags of leaf variables. If you want to use a "
            "computed variable in a subgraph that doesn't require differentiation use var_no_grad "
            "= var.detach()."
        )
    return lazy.set_requires_grad(self, bool(flag))


Tensor.requires_grad_ = _set_requires_grad
Tensor.requires_grad = property(lazy.requires_grad, _set_requires_grad)
Tensor.is_leaf = property(lazy.is_leaf)
Tensor._version = property(lazy.version)


def detach(input) -> Tensor:
    """The same storage, where no gradient flows."""
    return lazy.detach(input)


Tensor.detach = detach


@attach()
def detach_(self) -> Tensor:
    """Forget the history of this tensor."""
    if self.lrg:
        return self.requires_grad_(False)
    plain = lazy.detach(self)
    self.lens = plain.lens
    self.base = None
    self.cmark = None
    return self


def _set_data(self, other: Tensor) -> None:
    MODES.changes += 1
    lazy.rebind(self, other)


Tensor.data = property(lazy.data, _set_data)


@attach()
def retain_grad(self) -> None:
    """Keep the gradient of a computed tensor in its `.grad`."""
    if not lazy.requires_grad(self):
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if self.lrg or self.retains_grad:
        return
    self.retains_grad = True

    def keep(g):
        self.grad = g if self.grad is None else self.grad + g

    lazy.add_hook(self, keep)


Tensor.retains_grad = False


class RemovableHandle:
    """What `register_hook` returns: `remove()` takes the hook away."""

    def __init__(self, remove):
        self.remove = remove

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error) -> None:
        self.remove()


@attach()
def register_hook(self, hook) -> RemovableHandle:
    """Call hook(gradient) when this tensor's gradient is known; its result replaces it."""
    if not lazy.requires_grad(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    return RemovableHandle(lazy.add_hook(self, hook))


@attach()
def register_post_accumulate_grad_hook(self, hook) -> RemovableHandle:
    """Call hook(tensor) after the leaf's `.grad` was filled."""
    if not self.lrg:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    return RemovableHandle(lazy.add_after(self, hook))


# ---------- names of the history ----------
# where PyTorch's name is not made from the operation's
_OTHERWISE = {
    "clamp": "ClampBackward1",
    "copy_in": "CopyBackwards",
    "linear": "AddmmBackward0",
    "cross_entropy": "NllLossBackward0",
    "layer_norm": "NativeLayerNormBackward0",
    "batch_norm": "NativeBatchNormBackward0",
    "conv2d": "ConvolutionBackward0",
}
_VIEWS = {
    "slice": "SliceBackward0",
    "permute": "PermuteBackward0",
    "reshape": "ViewBackward0",
    "expand": "ExpandBackward0",
    "strided": "AsStridedBackward0",
}


class Node:
    """The operation that made a tensor: a name, for printing and comparison with None."""

    def __init__(self, name: str):
        self._name = name

    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"<{self._name} object at {id(self):#x}>"

    @property
    def next_functions(self):
        raise NotImplementedError(
            "Gemel keeps no chain of Python objects for the history; see gemel.explain for the "
            "graph"
        )


def _maker(t: Tensor) -> str:
    """The name of the call that made the tensor's value."""
    tape = LOCAL.tape
    st = t.st
    if st.mark is tape.mark and st.idx >= 0:
        return _call_name(owner(tape.state, st.idx))
    if st.hist is None:
        return ""
    record, index = st.hist
    if record is not RELEASED:
        return _call_name(owner(record.segment.replay.tip, index))
    return _call_name(owner(*index)) if index else ""


def _call_name(state) -> str:
    if state.kind not in (CALL, WRITE):
        return ""
    name = state.data[0].name
    return _product_name(state) if name == "matmul" else name


def _product_name(state) -> str:
    """PyTorch names a matmul by the ranks of its operands."""
    ranks = tuple(form_of(state.prev, a).ndim for a in state.args)
    return {(1, 1): "dot", (2, 1): "mv", (2, 2): "mm"}.get(ranks, "unsafe_view")


def _title(name: str) -> str:
    if name in _OTHERWISE:
        return _OTHERWISE[name]
    return "".join(part.capitalize() for part in name.split("_")) + "Backward0"


def grad_fn(self) -> Node | None:
    """The operation that made the tensor, None for a leaf."""
    if self.lrg or not lazy.requires_grad(self):
        return None
    lens = self.lens
    if type(lens) is Lens and lens.steps:
        step = lens.steps[-1][0]
        if step == "reshape" and len(lens.steps) > 1 and lens.steps[-2][0] == "slice":
            return Node("SelectBackward0")
        return Node(_VIEWS.get(step, "AsStridedBackward0"))
    return Node(_title(_maker(self) or "graph"))


Tensor.grad_fn = property(grad_fn)
