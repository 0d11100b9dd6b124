"""The lazy core: what a face's tensors are made of, and how its calls are recorded and run.

A face subclasses `Tensor` (with `__slots__ = ()` and a class attribute `kin`: the class of its
calls' results), makes `Call` objects once, at import, and hands them to the functions below.
Nothing runs until somebody looks. A call's `attrs` is None or a tuple of static things (ints,
shapes, dtypes; they compare with `==`, so never put a float where an int of the same value means
another thing); numbers of arithmetic are *operands*: they become run-time arguments and only their
type is in the key.

Recording (each returns new tensors; shapes and dtypes are known at once)
    record1(call, t, attrs=None)                        one operand            call.expand(attrs, x)
    record2(call, a, b, attrs=None, swap=False)         two; either may be a Python number
    record3(call, a, b, c, attrs=None)                  three; numbers allowed
    record_n(call, cls, operands, attrs=None)           any number of operands, one result
    record_many(call, cls, operands, attrs=None)        several results -> list of cls
    record_again(call, cls, operands, attrs=None)       what was recorded here before; else None: to
                          be asked before checks of operands that follow from forms and attrs
    joined(call, operands, axis, stacked)               many values with a history, put side by side
                          at once; None where recording the call is as well
    record_state(call, state, cls, operands, attrs=None)  expand(attrs, state, *operands) gives
                          (new state, *results): `state` is rewritten, the results returned
    fill(shape, value, dtype, cls)                      every cell the same run-time number
Values from and to NumPy
    from_array(array, cls)   copies          share_array(array, cls)   shares (torch.from_numpy)
    from_values(array, dtype, cls)   copies what is of the engine's element type already
    from_columns(arrays, dtype, cls)   [n, k] of k arrays [n]
    array_of(t)   evaluated, read-only view  export(t)   shared and writable (torch's numpy())
    rows_now(t, index)   t[index] at once where t shares a big array's memory, else None
    glance(t)     array_of, to be used at once
    known(t)      array_of where nothing has to run for it, else None
    item(t)       a Python number            evaluated(t)   the Buffer of a whole value
    filled(shape, value, dtype, cls)   in memory at once (state made in the middle of a step)
    wrap(buffer, form, cls)   a tensor over a `Buffer` that nobody else writes
Views and writing (a view is (storage, lens); a write replaces the storage's value)
    look(t, *specs)   ('slice', ((start, stop, step), ...)) ('permute', order) ('reshape', shape)
                      ('expand', shape) ('diagonal', offset, d1, d2)
                      ('as_strided', size, stride, offset)
    answers_again(method)                 decorator: views that were asked for before are at hand
    answered(t, question, asked)          the view that `keep_answer(..., view)` was given for it
    detach(t)  data(t)  same_storage(a, b)  strides(t)  offset(t)  viewable(t, shape)
    rebind(t, other)                      t looks at other's storage (torch's .data = and set_)
    inplace(call, t, *operands, attrs=None)   t's value becomes call(t, *operands), cast to t
    write(t, value)                       copy_: a tensor or a number, broadcast and cast
    update(call, targets, reads, scalars=(), attrs=None, pack=None)   an optimizer's step:
                          expand(attrs, *scalars, *targets, *reads, *pack) -> (*targets, *pack)
    Pack(tensors)                         tensors that are only used together: one leaf, one step
Gradients
    requires_grad(t)  set_requires_grad(t, flag)  is_leaf(t)  version(t)  watch(t)
    backward(t, gradient=None, retain_graph=None, create_graph=False, inputs=None)  fills `.grad`
    backward_all(ts, gradients, ...)      several roots at once
    grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False,
         allow_unused=False) -> list of tensors or None
    add_hook(t, f) -> function that removes it      add_after(t, f): after `.grad` was filled
    no_grad  enable_grad  grad_enabled()  set_grad_enabled(flag)
Running
    flush()                               run everything pending on this thread (end of step())
    trace(fn, tensors) -> Traced          fn(*tensors) returns a list of tensors; recorded once
    traced(*tensors) -> list              one program call
    replayed(closure)                     scalars for `update` that a Traced asks for at every call
    abstract(fn, forms, cls) -> result of fn on tensors without values; nothing is computed
    tracing()                             True inside trace or abstract
    outside()                             context: record as if there were no trace (new variables)
    Symbolic                              base class for graph-mode tensors: recording any call with
                          one calls `divert(call, operands, attrs)` of its class instead
Errors (all RuntimeError, neutral wording, with facts): see `errors`.
"""

from .arrays import array_of as array_of
from .arrays import evaluated as evaluated
from .arrays import export as export
from .arrays import filled as filled
from .arrays import from_array as from_array
from .arrays import from_columns as from_columns
from .arrays import from_values as from_values
from .arrays import glance as glance
from .arrays import item as item
from .arrays import known as known
from .arrays import rows_now as rows_now
from .arrays import share_array as share_array
from .arrays import wrap as wrap
from .backward import backward as backward
from .backward import backward_all as backward_all
from .backward import grad as grad
from .backward import requires_grad as requires_grad
from .flush import flush as flush
from .joint import joined as joined
from .leaves import add_after as add_after
from .leaves import add_hook as add_hook
from .leaves import is_leaf as is_leaf
from .leaves import set_requires_grad as set_requires_grad
from .leaves import version as version
from .leaves import watch as watch
from .record import COPY as COPY
from .record import fill as fill
from .record import record1 as record1
from .record import record2 as record2
from .record import record3 as record3
from .record import record_again as record_again
from .record import record_many as record_many
from .record import record_n as record_n
from .storage import Storage as Storage
from .tape import enable_grad as enable_grad
from .tape import grad_enabled as grad_enabled
from .tape import no_grad as no_grad
from .tape import set_grad_enabled as set_grad_enabled
from .tensor import LEAF as LEAF
from .tensor import Symbolic as Symbolic
from .tensor import Tensor as Tensor
from .trace import abstract as abstract
from .trace import outside as outside
from .trace import trace as trace
from .trace import tracing as tracing
from .traced import Traced as Traced
from .update import Pack as Pack
from .update import Stepping as Stepping
from .update import record_state as record_state
from .update import replayed as replayed
from .update import update as update
from .views import answered as answered
from .views import answers_again as answers_again
from .views import data as data
from .views import detach as detach
from .views import is_contiguous as is_contiguous
from .views import keep_answer as keep_answer
from .views import lens_of as lens_of
from .views import look as look
from .views import look_often as look_often
from .views import offset as offset
from .views import present as present
from .views import rebind as rebind
from .views import same_storage as same_storage
from .views import strides as strides
from .views import viewable as viewable
from .write import inplace as inplace
from .write import write as write
