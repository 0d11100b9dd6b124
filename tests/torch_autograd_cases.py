"""`torch.autograd` beside plain backward passes: each case is a function of `torch`."""

from __future__ import annotations

import importlib
import warnings

from torch_compare import kind


def part(t, name):
    return importlib.import_module(f"{t.__name__}.{name}")


def leaf(t):
    return t.tensor([0.3, -1.2, 0.8, 1.7], requires_grad=True)


def scaled_exp(t, with_context=True):
    """exp(k x), with a gradient that is no derivative, so that its use is seen."""
    base = t.autograd.Function

    class Old(base):
        @staticmethod
        def forward(ctx, x, k):
            y = t.exp(x * k)
            ctx.save_for_backward(x, y)
            ctx.k = k
            return y

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            return g * y * ctx.k * 2 + g * x, None

    class New(base):
        generate_vmap_rule = True

        @staticmethod
        def forward(x, k):
            return t.exp(x * k)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0], output)
            ctx.save_for_forward(inputs[0], output)
            ctx.k = inputs[1]

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            return g * y * ctx.k * 2 + g * x, None

        @staticmethod
        def jvp(ctx, tangent, _):
            x, y = ctx.saved_tensors
            return tangent * y * ctx.k * 5 + tangent * x

    return Old if not with_context else New


def case_function_orders(t):
    found = []
    for new in (False, True):
        f, x = scaled_exp(t, new), leaf(t)
        (g,) = t.autograd.grad(f.apply(x, 3.0).sum(), x, create_graph=True)
        found += [g, t.autograd.grad((g * g).sum(), x)]
    return found


def case_function_transformed(t):
    f, s = t.func, scaled_exp(t)
    x = leaf(t).detach()
    m = t.stack([x, x.cos(), x * 2])
    one = lambda x: s.apply(x, 2.0)  # noqa: E731
    return [
        f.grad(lambda x: one(x).sum())(x),
        f.vmap(one)(m),
        f.vmap(f.grad(lambda x: one(x).sum()))(m),
        f.grad(lambda m: f.vmap(one)(m).sum())(m),
        f.grad(lambda m: f.grad(lambda m: f.vmap(one)(m).sum())(m).sum())(m),
        f.jvp(one, (x,), (x,)),
        f.jacrev(one)(x),
        f.jacfwd(one)(x),
    ]


def case_function_rules(t):
    class Dirty(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            x.mul_(2)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 7

    class Several(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, n):
            ctx.set_materialize_grads(False)
            top = x.argmax()
            ctx.mark_non_differentiable(top)
            return x * 2, y * 3, top

        @staticmethod
        def backward(ctx, a, b, c):
            return None if a is None else a * 2, None if b is None else b * 3, None

    x = leaf(t)
    y = x * 1
    z = Dirty.apply(y)
    a, b, top = Several.apply(x, x.exp(), None)
    return [
        z,
        z is y,
        t.autograd.grad((y * 3).sum(), x),
        a,
        top,
        top.requires_grad,
        t.autograd.grad(b.sum(), x),
    ]


def case_function_errors(t):
    def of(result, once=False):
        def backward(ctx, g):
            return result(g)

        if once:
            backward = part(t, "autograd.function").once_differentiable(backward)

        class Made(t.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

        Made.backward = staticmethod(backward)
        return Made

    def again(made):
        x = leaf(t)
        (g,) = t.autograd.grad((made.apply(x) ** 2).sum(), x, create_graph=True)
        t.autograd.grad(g.sum(), x)

    def twice():
        x = leaf(t)
        y = scaled_exp(t, False).apply(x, 1.0).sum()
        y.backward()
        y.backward()

    x = leaf(t)
    plain = scaled_exp(t, False)
    return [
        kind(lambda: of(lambda g: (g, g)).apply(x).sum().backward()),
        kind(lambda: of(lambda g: t.ones(3)).apply(x).sum().backward()),
        kind(lambda: of(lambda g: 3).apply(x).sum().backward()),
        kind(lambda: again(of(lambda g: g, True))),
        kind(twice),
        kind(lambda: t.func.grad(lambda x: plain.apply(x, 1.0).sum())(x)),
        kind(lambda: t.func.jvp(lambda x: plain.apply(x, 1.0), (x,), (x,))),
    ]


def case_saved_tensor_hooks(t):
    seen = []

    def pack(x):
        seen.append(1)
        return x * 2

    x = leaf(t)
    with t.autograd.graph.saved_tensors_hooks(pack, lambda x: x / 2):
        y = scaled_exp(t, False).apply(x, 2.0).sum()
    return [t.autograd.grad(y, x), len(seen)]


def case_hooks(t):
    log = []
    x = leaf(t)
    y = x * 3
    y.retain_grad()
    y.register_hook(lambda g: g * 2)
    y.register_hook(lambda g: g + 1)
    x.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g * 100).remove()
    x.register_post_accumulate_grad_hook(lambda p: log.append(p.grad.clone()))
    (y**2).sum().backward()
    z, w = x * 2, x * 3
    gradients = []
    t.autograd.graph.register_multi_grad_hook([z, w], lambda gs: gradients.append(list(gs)))
    found = t.autograd.grad((z * w).sum(), [x, z])
    return [y.grad, x.grad, log, y.retains_grad, found, gradients]


def case_grad_arguments(t):
    x = leaf(t)
    other = leaf(t)
    y = x * 2
    z = y.exp()
    z.sum().backward(inputs=[x, y], retain_graph=True)
    edge = t.autograd.graph.get_gradient_edge(y)
    return [
        x.grad,
        y.grad,
        t.autograd.grad(x * 2, x, t.eye(4), is_grads_batched=True),
        t.autograd.grad((x * 2).sum(), [x, other], materialize_grads=True),
        t.autograd.grad((x * 2).sum(), [x, other], allow_unused=True),
        t.autograd.grad(z.sum(), edge),
    ]


def case_grad_errors(t):
    x = leaf(t)
    return [
        kind(lambda: t.autograd.grad((x * 2).sum(), [x, leaf(t)])),
        kind(lambda: t.autograd.grad((x * 2).sum(), [])),
        kind(lambda: t.autograd.grad(x * 2, x)),
        kind(lambda: t.autograd.grad(x * 2, x, t.ones(3))),
        kind(lambda: t.autograd.grad(x * 2, x, t.ones(3), is_grads_batched=True)),
        kind(lambda: t.autograd.grad((x.detach() * 2).sum(), x)),
        kind(lambda: t.autograd.grad((x * 2).sum(), x, materialize_grads=True, allow_unused=False)),
        kind(lambda: (x * 2).sum().backward(inputs=[])),
    ]


def case_gradients_of_computed_values(t):
    """Gradients of gradients, each looked at before the next."""
    x = leaf(t)
    y = (x**3).sum()
    y.item()
    (g,) = t.autograd.grad(y, x, create_graph=True)
    (g**2).sum().item()
    (h,) = t.autograd.grad((g**2).sum(), x, create_graph=True)
    h.sum().item()
    return t.autograd.grad(h.sum(), x)


def case_nodes(t):
    x = leaf(t)
    z = (x * 2).exp().sum()
    first = z.grad_fn
    second = first.next_functions[0][0]
    third = second.next_functions[0][0]
    last = third.next_functions[0][0]
    made = scaled_exp(t, False).apply(x, 1.0)
    names = [n.name() for n in (first, second, third, last, made.grad_fn)]
    return [names, last.variable is x, x.grad_fn is None, first == z.grad_fn]


def case_anomaly(t):
    x = leaf(t)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            with t.autograd.detect_anomaly():
                (x * 0 - 1.0).sqrt().sum().backward()
        except RuntimeError as error:
            return [str(error), "(x * 0 - 1.0).sqrt()" in str(seen[-1].message), len(seen)]


def case_forward_mode(t):
    fw = part(t, "autograd.forward_ad")
    x = leaf(t).detach()
    with fw.dual_level():
        d = fw.make_dual(x, x * 2)
        y = fw.unpack_dual(d.sin() * d.sum())
        other = fw.make_dual(x, x * 3)
        z = fw.unpack_dual(other * 2 + d)
        plain = fw.unpack_dual(x * 2)
        d.mul_(2)
        written = fw.unpack_dual(d)
    w = leaf(t)
    with fw.dual_level():
        d = fw.make_dual(w, w.detach() * 2)
        (g,) = t.autograd.grad((d**3).sum(), d, create_graph=True)
        over = fw.unpack_dual(g).tangent
    outside = kind(lambda: fw.make_dual(x, x))
    return [y.primal, y.tangent, z.tangent, plain.tangent, written.tangent, over, outside]


def case_functional(t):
    f = part(t, "autograd.functional")
    x = leaf(t).detach()
    w = t.sin(t.arange(12.0)).reshape(3, 4)
    one = lambda x: x.sin() * x.sum()  # noqa: E731
    number = lambda x: (x.sin() * x).sum()  # noqa: E731
    several = lambda w, x: ((w @ x).tanh(), x.exp())  # noqa: E731
    return [
        f.vjp(one, x, x * 2),
        f.jvp(one, x, x * 2),
        f.vhp(number, x, x * 2),
        f.hvp(number, x, x * 2),
        f.jacobian(one, x),
        f.jacobian(one, x, vectorize=True, strategy="forward-mode"),
        f.jacobian(several, (w, x)),
        f.hessian(number, x),
        f.hessian(lambda w, x: ((w @ x) ** 3).sum(), (w, x)),
        f.jacobian(one, x, create_graph=True).requires_grad,
        kind(lambda: f.vjp(one, x)),
        kind(lambda: f.vjp(one, x, t.ones(2))),
        kind(lambda: f.vjp(one, [3])),
        kind(lambda: f.jacobian(several, (w, x), strict=True)),
        kind(lambda: f.hvp(one, x, x)),
    ]


def case_checks(t):
    x = leaf(t).detach().double().requires_grad_()
    w = t.sin(t.arange(12.0).double()).reshape(3, 4).requires_grad_()
    several = lambda w, x: ((w @ x).tanh(), x.exp())  # noqa: E731
    wrong = lambda x: x * x.detach()  # noqa: E731
    a = t.autograd
    return [
        a.gradcheck(several, (w, x)),
        a.gradcheck(several, (w, x), check_forward_ad=True, fast_mode=True),
        a.gradgradcheck(several, (w, x), check_fwd_over_rev=True),
        a.gradcheck(wrong, (x,), raise_exception=False),
        kind(lambda: a.gradcheck(wrong, (x,))),
        kind(lambda: a.gradcheck(wrong, (x.detach(),))),
    ]


def case_modes(t):
    x = leaf(t)
    with t.inference_mode():
        inside = [t.is_inference_mode_enabled(), (x * 2).requires_grad]
        with t.inference_mode(False):
            inside += [t.is_inference_mode_enabled(), t.is_grad_enabled()]

    @t.no_grad()
    def values():
        yield t.is_grad_enabled()
        yield (x * 2).requires_grad

    seen = [[v, t.is_grad_enabled()] for v in values()]
    return [inside, t.is_inference_mode_enabled(), seen]


def case_checkpoints(t):
    found = []
    c = part(t, "utils.checkpoint")
    for reentrant in (True, False):
        t.manual_seed(3)
        model = t.nn.Sequential(t.nn.Linear(4, 5), t.nn.Dropout(0.4), t.nn.Linear(5, 4))
        x = leaf(t)
        y = c.checkpoint(lambda a, m=model: m(a).tanh(), x, use_reentrant=reentrant)
        drawn = t.rand(2)
        (y**2).sum().backward()
        found += [y, x.grad, model[0].weight.grad, drawn, t.rand(2)]
    chain = t.nn.Sequential(t.nn.Linear(4, 5), t.nn.Tanh(), t.nn.Linear(5, 4))
    x = leaf(t)
    y = c.checkpoint_sequential(chain, 2, x, use_reentrant=True)
    (y**2).sum().backward()
    return [*found, y, x.grad, chain[0].weight.grad]


def case_versions(t):
    def late():
        y = leaf(t).exp()
        z = (y * y).sum()
        y.add_(1)
        z.backward()

    return [kind(late)]


def case_complex(t):
    z = t.complex(t.tensor([0.3, -1.2, 0.8]).double(), t.tensor([0.5, 0.1, -0.7]).double())
    watched = z.clone().requires_grad_()
    found = []
    for one in (lambda z: z * z, lambda z: z.abs(), lambda z: z.exp(), lambda z: z.conj() * z):
        found.append(t.autograd.gradcheck(one, (watched,), check_forward_ad=True))
        found.append(t.autograd.gradgradcheck(one, (watched,)))
        tangent = t.func.jvp(one, (z,), (z * 2,))[1]
        found.append(t.view_as_real(tangent) if tangent.is_complex() else tangent)
    found.append(t.vmap(lambda z: (z * z).abs())(z))
    return [*found, kind(lambda: t.func.jacrev(lambda z: z * 2)(z))]


def case_threads(t):
    """Transformations of several threads do not see each other."""
    import threading

    x, done = leaf(t), [None] * 4

    def work(k):
        y = leaf(t)
        slopes = t.func.grad(lambda a: ((a * k) ** 2).sum())(y.detach())
        (y * k).sum().backward()
        done[k] = [slopes, y.grad, t.autograd.grad(((x * k) ** 2).sum(), x)[0]]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done
