"""Transformations of functions, as they go together: each case is a function of `torch`."""

from __future__ import annotations

from torch_compare import kind


def row(t):
    return t.tensor([0.3, -1.2, 0.8, 1.7])


def table(t):
    return t.tensor([[0.5, -0.3, 1.1, 0.2], [-0.7, 0.9, 0.4, -1.3], [1.6, 0.1, -0.2, 0.6]])


def square(t):
    return t.sin(t.arange(16.0).reshape(4, 4))


def number(x):
    return (x.sin() * x).sum()


def vector(x):
    return x.sin() * x.sum()


def case_grad(t):
    f = t.func
    x = row(t)
    watched = row(t).requires_grad_()
    found = f.grad(number)(watched)
    both = f.grad(lambda a, b: (a * b.exp()).sum(), argnums=(0, 1))(x, x)
    aux = f.grad_and_value(lambda a: (number(a), {"twice": a * 2}), has_aux=True)(x)
    tree = f.grad(lambda d: (d["a"] * d["b"]).sum())({"a": x, "b": x * 2})
    return [f.grad(number)(x), found, found.requires_grad, both, aux, tree]


def case_orders(t):
    f = t.func
    x = row(t)
    second = f.grad(lambda a: f.grad(number)(a).sum())
    third = f.grad(lambda a: second(a).sum())
    return [second(x), third(x)]


def case_no_perturbation_is_confused(t):
    f = t.func
    inner = lambda x: f.grad(lambda y: x + y)(t.tensor(1.0))  # noqa: E731
    return f.grad(lambda x: x * inner(x))(t.tensor(2.0))


def case_control_flow_sees_values(t):
    return t.func.grad(lambda x: (x * 2).sum() if x.sum() > 0 else (x * 3).sum())(row(t))


def case_no_grad(t):
    f = t.func
    with t.no_grad():
        outside = f.grad(number)(row(t).requires_grad_())

    def inside(x):
        with t.no_grad():
            c = (x**2).sum()
        return (x**2).sum() * c

    return [outside, outside.requires_grad, f.grad(inside)(row(t))]


def case_vmap(t):
    v = t.vmap
    m = table(t)
    nested = v(v(lambda x, y: x * y, (0, None)), (None, 0))(row(t), row(t))
    tree = v(lambda d, k: d["a"] + d["b"][0] * k, in_dims=({"a": 0, "b": (1,)}, None))
    return [
        v(number)(m),
        v(vector, in_dims=1, out_dims=1)(m),
        v(lambda x: (x, {"a": x * 2}), out_dims=(1, 0))(m),
        v(number, chunk_size=2)(m),
        v(lambda x: t.ones(2))(m),
        nested,
        tree({"a": m, "b": (m.t(),)}, 2.0),
    ]


def case_vmap_writes(t):
    def put(x):
        y = t.zeros_like(x)
        y[0] = x[1]
        y[1:3] = x[:2] * 2
        return y

    m = table(t)
    grown = t.vmap(lambda x: x.add_(1))(m)
    own = t.vmap(lambda x: x.clone().mul_(2).add_(x))(table(t))
    return [t.vmap(put)(table(t)), grown, m, own]


def case_vmap_structure(t):
    m = table(t)
    at = t.tensor([0, 2, 1])
    kernels = square(t).reshape(2, 2, 2, 2)
    image = t.cos(t.arange(24.0)).reshape(2, 2, 6)
    convolved = t.vmap(lambda x, w: t.nn.functional.conv1d(x, w), (None, 0))(image, kernels)
    return [
        t.vmap(lambda x: list(t.sort(x)))(m),
        t.vmap(lambda x, i: x[i])(m, at),
        t.vmap(lambda x: t.cumsum(x, 0))(m),
        t.vmap(lambda x, i: t.gather(x, 0, i))(m, t.stack([at, at, at])),
        convolved,
    ]


def case_together(t):
    f = t.func
    m, x, w = table(t), row(t), square(t)
    layer = lambda w, x: ((w @ x).tanh()).sum()  # noqa: E731
    return [
        f.vmap(f.grad(number))(m),
        f.vmap(f.grad(layer), in_dims=(None, 0))(w, m),
        f.grad(lambda m: f.vmap(number)(m).sum())(m),
        f.grad(lambda m: f.vmap(f.grad(number))(m).sum())(m),
        f.vmap(f.jacrev(vector))(m),
        f.vmap(f.jacfwd(vector))(m),
        f.vmap(f.hessian(number))(m),
        f.jacrev(f.vmap(number))(m),
        f.jacfwd(f.vmap(number))(m),
        f.vmap(lambda v: f.jvp(vector, (x,), (v,))[1])(t.eye(4)),
    ]


def case_jacobians(t):
    f = t.func
    x, w = row(t), square(t)
    several = lambda a, b: (a @ b, b.exp())  # noqa: E731
    return [
        f.jacrev(vector)(x),
        f.jacfwd(vector)(x),
        f.jacrev(vector, chunk_size=3)(x),
        f.jacrev(several, argnums=(0, 1))(w, x),
        f.jacfwd(several, argnums=(0, 1))(w, x),
        f.hessian(number)(x),
        f.jacrev(f.jacfwd(number))(x),
        f.jacfwd(f.jacfwd(number))(x),
        f.jacfwd(f.jacfwd(f.jacrev(number)))(x),
        f.hessian(lambda a, b: ((a @ b) ** 3).sum(), argnums=(0, 1))(w, x),
    ]


def case_products(t):
    f = t.func
    x = row(t)
    out, pull = f.vjp(vector, x)
    held, push = f.linearize(vector, x)
    return [
        out,
        pull(x),
        f.vmap(pull)(t.eye(4)),
        f.jvp(vector, (x,), (x,)),
        f.jvp(lambda a: a, (x,), (x * 2,)),
        f.jvp(lambda a: t.ones(2), (x,), (x,)),
        held,
        push(x * 2),
        f.vmap(push)(t.eye(4)),
    ]


def case_hvp_both_ways(t):
    f = t.func
    x, v = row(t), row(t).cos()
    ahead = f.jvp(f.grad(number), (x,), (v,))[1]
    back = f.vjp(f.grad(number), x)[1](v)[0]
    return [ahead, back]


def case_randomness(t):
    m = table(t)
    found = []
    for mode in ("same", "different"):
        for draw in (
            lambda x: t.rand(2, 5),
            lambda x: t.randn(3),
            lambda x: t.randn(20),
            lambda x: t.randperm(5).float(),
            lambda x: t.nn.functional.dropout(x, 0.4),
            lambda x: t.rand_like(x),
        ):
            t.manual_seed(7)
            found += [t.vmap(lambda x, d=draw: d(x) + x[0] * 0, randomness=mode)(m), t.rand(1)]
    return found


def case_modules(t):
    f = t.func
    t.manual_seed(0)
    models = [t.nn.Linear(4, 2) for _ in range(3)]
    params, buffers = f.stack_module_state(models)
    x = table(t)

    def call(p, x):
        return f.functional_call(models[0], p, (x,))

    lost = f.vmap(f.grad(lambda p, x: (call(p, x) ** 2).sum()), (0, None))(params, x)
    return [f.vmap(call, (0, None))(params, x), lost, buffers]


def case_per_sample_gradients(t):
    f = t.func
    t.manual_seed(0)
    model = t.nn.Sequential(t.nn.Conv2d(1, 3, 3), t.nn.ReLU(), t.nn.Flatten(), t.nn.Linear(48, 5))
    params = {k: v.detach() for k, v in model.named_parameters()}

    def loss(p, x, y):
        out = f.functional_call(model, p, (x[None],))
        return t.nn.functional.cross_entropy(out, y[None])

    x = t.sin(t.arange(144.0)).reshape(4, 1, 6, 6)
    return f.vmap(f.grad(loss), (None, 0, 0))(params, x, t.tensor([0, 1, 2, 4]))


def case_steps_of_steps(t):
    f = t.func
    m = table(t)

    def inner(w, x):
        return w - 0.1 * f.grad(lambda w: ((x @ w).tanh() ** 2).sum())(w)

    return f.grad(lambda w: f.vmap(lambda x: ((x @ inner(w, x)) ** 2).sum())(m).sum())(row(t))


def case_errors(t):
    f = t.func
    x, m = row(t), table(t)
    return [
        kind(lambda: f.vmap(lambda x: x.item())(x)),
        kind(lambda: f.vmap(lambda x: 1 if x > 0 else 0)(x)),
        kind(lambda: f.vmap(lambda x: x.nonzero())(m)),
        kind(lambda: f.vmap(lambda x: t.rand(2))(m)),
        kind(lambda: f.vmap(lambda x: x, in_dims=None)(m)),
        kind(lambda: f.vmap(lambda x: x, in_dims=3)(m)),
        kind(lambda: f.vmap(lambda x: x, out_dims=None)(m)),
        kind(lambda: f.vmap(lambda x: 3)(m)),
        kind(lambda: f.vmap(lambda a, b: a + b)(m, square(t))),
        kind(lambda: f.grad(lambda x: x)(x)),
        kind(lambda: f.grad(lambda x: x.sum(), argnums=3)(x)),
        kind(lambda: f.grad(lambda x: x.sum().backward())(x)),
        kind(lambda: f.jvp(lambda x: x, (x,), (t.ones(2),))),
        kind(lambda: f.jacrev(lambda x: x.sum().item())(x)),
        kind(lambda: f.vmap(number, randomness="some")),
    ]
