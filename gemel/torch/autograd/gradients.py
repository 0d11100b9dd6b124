"""`backward`, `grad`, hooks and what a tensor shows of its history; errors in PyTorch's words."""

from __future__ import annotations

from contextlib import contextmanager

from gemel import tensor as lazy
from gemel.tensor import errors

from ..dtypes import FACE, short_name
from ..guards import MODES
from ..tensor import Tensor, attach
from .levels import ACTIVE

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
            f"The differentiated Tensor at index {error.position} appears to not have been used in "
            "the graph. Set allow_unused=True if this is the desired behavior."
        )
    if isinstance(error, errors.ModifiedInPlace):
        return (
            "one of the variables needed for gradient computation has been modified by an inplace "
            f"operation: [torch.{short_name(error.form.dtype)}Tensor {list(error.form.shape)}] is "
            f"at version {error.found}; expected version {error.expected} instead. Hint: enable "
            "anomaly detection to find the operation that failed to compute its gradient, with "
            "torch.autograd.set_detect_anomaly(True)."
        )
    return None


@contextmanager
def in_its_words():
    try:
        yield
    except RuntimeError as error:
        text = _reworded(error)
        if text is None:
            raise
        raise RuntimeError(text) from None


def _check_gradient(output: Tensor, gradient, place: int = 0) -> None:
    if gradient is None:
        return
    if gradient.form.shape != output.form.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{place}] has a shape of {gradient.shape} and "
            f"output[{place}] has a shape of {output.shape}."
        )
    if gradient.form.dtype.is_complex is not output.form.dtype.is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. "
            f"Mismatch in dtype: grad_output[{place}] has a dtype of {gradient.dtype} and "
            f"output[{place}] has a dtype of {output.dtype}."
        )


def _tuple(x) -> tuple:
    single = isinstance(x, Tensor) or x is None or hasattr(x, "output_nr")
    return (x,) if single else tuple(x)


def _tensor_of(x) -> Tensor:
    """An input or output: a tensor, or the edge of one."""
    return x if isinstance(x, Tensor) else x.node.tensor


def _not_inside() -> None:
    if ACTIVE.levels:
        raise RuntimeError(
            "backward() called inside a functorch transform. This is not supported, please use "
            "functorch.grad or functorch.vjp instead or call backward() outside of functorch "
            "transforms."
        )


def _wanted(inputs) -> list | None:
    if inputs is None:
        return None
    found = [_tensor_of(x) for x in _tuple(inputs)]
    if not found:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    return found


@attach("backward")
def _backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
    """Add the gradients of this tensor to `.grad` of the leaves it depends on."""
    if ACTIVE.levels:
        _not_inside()
    try:
        if gradient is None and inputs is None:
            return lazy.backward(self, None, retain_graph, create_graph)
        _check_gradient(self, gradient)
        return lazy.backward(self, gradient, retain_graph, create_graph, _wanted(inputs))
    except RuntimeError as error:
        text = _reworded(error)
        if text is None:
            raise
        raise RuntimeError(text) from None


def _weights(outputs: list, given) -> list:
    """A gradient, or None, for each output."""
    if given is None:
        return [None] * len(outputs)
    found = list(_tuple(given))
    if len(found) < len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(found)} gradients")
    for g in found:
        if g is not None and not isinstance(g, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    return found[: len(outputs)]


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False,
             grad_variables=None, inputs=None) -> None:  # fmt: skip
    """`Tensor.backward` of several tensors at once."""
    _not_inside()
    outputs = [_tensor_of(t) for t in _tuple(tensors)]
    given = _weights(outputs, grad_tensors if grad_tensors is not None else grad_variables)
    for k, (o, g) in enumerate(zip(outputs, given, strict=True)):
        _check_gradient(o, g, k)
    with in_its_words():
        retain = create_graph if retain_graph is None else retain_graph
        lazy.backward_all(outputs, given, retain, create_graph, _wanted(inputs))


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False,
         only_inputs=True, allow_unused=None, is_grads_batched=False,
         materialize_grads=False) -> tuple:  # fmt: skip
    """The gradients of the outputs' sum (weighted by grad_outputs) for each input.

    is_grads_batched: each grad_output holds several, along a new first axis, and so each result.
    RuntimeError where an input was not used, unless allow_unused (then None) or materialize_grads
    (then zeros).
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    outs = [_tensor_of(t) for t in _tuple(outputs)]
    ins = [_tensor_of(t) for t in _tuple(inputs)]
    if not ins:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    given = _weights(outs, grad_outputs)
    lanes = _lanes(outs, given) if is_grads_batched else 0
    if not lanes:
        for k, (o, g) in enumerate(zip(outs, given, strict=True)):
            _check_gradient(o, g, k)
    for x in ins:
        if not lazy.requires_grad(x):
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    unused = bool(allow_unused) or materialize_grads
    with in_its_words():
        found = lazy.grad(outs, ins, given, retain_graph, create_graph, unused, lanes)
    if materialize_grads:
        found = [_zeros(x, lanes) if g is None else g for g, x in zip(found, ins, strict=True)]
    return tuple(found)


def _lanes(outputs: list, given: list) -> int:
    """How many gradients each grad_output holds."""
    sizes = set()
    for o, g in zip(outputs, given, strict=True):
        if g is None:
            continue
        if g.form.shape[1:] != o.form.shape:
            raise RuntimeError(
                f"If `is_grads_batched=True`, we interpret the first dimension of each grad_output "
                "as the batch dimension. The sizes of the remaining dimensions are expected to "
                f"match the shape of corresponding output, but a mismatch was detected: "
                f"grad_output has a shape of {g.shape} and output has a shape of {o.shape}. If you "
                "only want some tensors in `grad_output` to be considered batched, consider using "
                "vmap."
            )
        sizes.add(g.form.shape[0])
    if len(sizes) != 1:
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sorted(sizes)} for the mapped dimension"
        )
    return sizes.pop()


def _zeros(x: Tensor, lanes: int) -> Tensor:
    lead = (lanes,) if lanes else ()
    return lazy.fill((*lead, *x.form.shape), 0, x.form.dtype, Tensor)


# ---------- what a tensor shows ----------
def _set_requires_grad(self, flag=True) -> Tensor:
    """Make this tensor a leaf that collects gradients, or no longer one."""
    if flag and not self.form.dtype.is_smooth:
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
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

    keep.last = True  # type: ignore[attr-defined]
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
