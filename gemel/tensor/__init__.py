"""The lazy core: what a face's tensors are made of, and how its calls are recorded and run.

A face subclasses `Tensor` (with `__slots__ = ()` and a class attribute `kin`: the class of results),
makes `Call` objects once, at import, and hands them to the functions below. Nothing runs until
somebody looks. A call's `attrs` is None or a tuple of static things (ints, shapes, dtypes; they
compare with `==`, so never put a float where an int of the same value means another thing); numbers
of arithmetic are *operands*: they become run-time arguments and only their type is in the key.

Recording (each returns new tensors; shapes and dtypes are known at once)
    record1(call, t, attrs=None)                        one operand            call.expand(attrs, x)
    record2(call, a, b, attrs=None, swap=False)         two; either may be a Python number
    record3(call, a, b, c, attrs=None)                  three; numbers allowed
    record_n(call, cls, operands, attrs=None)           any number of operands, one result
    record_many(call, cls, operands, attrs=None)        several results -> list of cls
    record_state(call, state, cls, operands, attrs=None)  expand(attrs, state, *operands) gives
                          (new state, *results): the tensor `state` is rewritten, the results returned
    fill(shape, value, dtype, cls)                      every cell the same run-time number
Values from and to NumPy
    from_array(array, cls)   copies          share_array(array, cls)   shares (torch.from_numpy)
    array_of(t)   evaluated, read-only view  export(t)   shared and writable (torch's numpy())
    item(t)       a Python number            evaluated(t)   the Buffer of a whole value
    wrap(buffer, form, cls)   a tensor over a `Buffer` that nobody else writes
Views and writing (a view is (storage, lens); a write replaces the storage's value)
    look(t, *specs)   ('slice', ((start, stop, step), ...)) ('permute', order) ('reshape', shape)
                      ('expand', shape) ('diagonal', offset, d1, d2) ('as_strided', size, stride, at)
    detach(t)  data(t)  same_storage(a, b)  strides(t)  offset(t)  viewable(t, shape)
    rebind(t, other)                      t becomes another tensor's storage (torch's .data = and set_)
    inplace(call, t, *operands, attrs=None)   t's value becomes call(t, *operands), cast to t's dtype
    write(t, value)                       copy_: a tensor or a number, broadcast and cast
    update(call, targets, reads, scalars=(), attrs=None, pack=None)   an optimizer's step: expand(
                          attrs, *scalars, *targets, *reads, *pack) gives new targets and new pack
    Pack(tensors)                         tensors that are only used together: one leaf, one step
Gradients
    requires_grad(t)  set_requires_grad(t, flag)  is_leaf(t)  version(t)  watch(t)
    backward(t, gradient=None, retain_graph=None, create_graph=False, inputs=None)  fills `.grad`
    backward_all(ts, gradients, ...)      several roots at once
    grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False,
         allow_unused=False) -> list of tensors or None
    add_hook(t, f) -> handle id           remove_hook(t, id)
    no_grad  enable_grad  grad_enabled()  set_grad_enabled(flag)
Running
    flush()                               run everything pending on this thread (end of step())
    trace(fn, tensors) -> Traced          fn takes and returns a list of tensors; recorded once
    traced(*tensors) -> list              one program call
    replayed(closure)                     scalars for `update` that a Traced asks for at every call
    abstract(fn, forms, cls) -> result of fn on tensors without values; nothing is computed
    tracing()                             True inside trace or abstract
    Symbolic                              base class for graph-mode tensors: recording any call with
                          one calls `divert(call, operands, attrs)` of its class instead
Errors (all RuntimeError, neutral wording, with facts): see `errors`.
"""
