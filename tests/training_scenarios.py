"""Whole training scenarios as functions of a namespace: PyTorch's, or that of the small face."""

from __future__ import annotations

import types

import numpy as np

_rng = np.random.default_rng(3)
XS = _rng.standard_normal((12, 16, 8)).astype("f4")
YS = _rng.integers(0, 4, (12, 16))
SHAPES = ((6, 8), (6,), (4, 6), (4,))
WEIGHTS = [_rng.uniform(-0.3, 0.3, s).astype("f4") for s in SHAPES]


def small_face():
    """The namespace of the tensor layer under test."""
    import mini_face as face

    import gemel.tensor as core

    def grad(output, inputs, **options):
        return core.grad([output], inputs, **options)

    return types.SimpleNamespace(
        T=face.tensor, Linear=face.Linear, Adam=face.Adam, SGD=face.SGD, no_grad=core.no_grad,
        ce=face.cross_entropy, clip=face.clip_grad_norm_, grad=grad, hook=core.add_hook,
    )  # fmt: skip


def pytorch():
    """The namespace of the original."""
    import torch

    torch.set_num_threads(1)

    def linear(weight, bias):
        layer = torch.nn.Linear(*weight.shape[::-1])
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.copy_(torch.tensor(bias))
        return layer

    return types.SimpleNamespace(
        T=torch.tensor, Linear=linear, Adam=torch.optim.Adam, SGD=torch.optim.SGD,
        no_grad=torch.no_grad, ce=torch.nn.functional.cross_entropy,
        clip=torch.nn.utils.clip_grad_norm_, grad=torch.autograd.grad,
        hook=lambda t, f: t.register_hook(f),
    )  # fmt: skip


class Net:
    def __init__(self, N):
        self.a, self.b = N.Linear(*WEIGHTS[:2]), N.Linear(*WEIGHTS[2:])

    def parameters(self):
        return [self.a.weight, self.a.bias, self.b.weight, self.b.bias]

    def __call__(self, x):
        return self.b(self.a(x).relu())

    def values(self):
        return [p.detach().tolist() for p in self.parameters()]


def setup(N, rate=0.01):
    m = Net(N)
    data = [(N.T(x), N.T(y)) for x, y in zip(XS, YS, strict=True)]
    return m, N.Adam(m.parameters(), lr=rate), data


def plain(N):
    m, o, data = setup(N)
    seen = []
    for x, y in data:
        loss = N.ce(m(x), y)
        o.zero_grad()
        loss.backward()
        o.step()
        seen.append(loss.item())
    return seen, m.values()


def item_first(N):
    m, o, data = setup(N)
    seen = []
    for x, y in data:
        loss = N.ce(m(x), y)
        seen.append(loss.item())
        o.zero_grad()
        loss.backward()
        o.step()
    return seen, m.values()


def accumulate(N):
    m, o, data = setup(N)
    for i, (x, y) in enumerate(data):
        (N.ce(m(x), y) / 3).backward()
        if i % 3 == 2:
            o.step()
            o.zero_grad()
    return m.values()


def clip(N):
    m, o, data = setup(N)
    norms = []
    for x, y in data:
        loss = N.ce(m(x), y)
        o.zero_grad()
        loss.backward()
        norms.append(N.clip(m.parameters(), 0.1))
        o.step()
    return [float(n) for n in norms], m.values()


def read_gradients(N):
    m, o, data = setup(N)
    seen = []
    for x, y in data:
        loss = N.ce(m(x), y)
        o.zero_grad()
        loss.backward()
        seen.append(m.a.bias.grad.tolist())
        o.step()
    return seen, m.values()


def branch(N):
    m, o, data = setup(N)
    for i, (x, y) in enumerate(data):
        h = m.a(x)
        h = h.relu() if h.sum().item() > 0 else h.tanh()
        if i % 3 == 0:
            h = h * 2
        loss = N.ce(m.b(h), y)
        o.zero_grad()
        loss.backward()
        o.step()
    return m.values()


def _two_losses(m, x, y, N):
    h = m.a(x).relu()
    return N.ce(m.b(h), y), (h * h).sum() * 0.01


def two_losses(N):
    m, o, data = setup(N)
    for x, y in data:
        first, second = _two_losses(m, x, y, N)
        o.zero_grad()
        first.backward(retain_graph=True)
        second.backward()
        o.step()
    return m.values()


def two_losses_looked_at(N):
    m, o, data = setup(N)
    seen = []
    for x, y in data:
        first, second = _two_losses(m, x, y, N)
        seen.append(first.item() + second.item())
        o.zero_grad()
        first.backward(retain_graph=True)
        second.backward()
        o.step()
    return seen, m.values()


def separate_graphs_looked_at(N):
    m, o, data = setup(N)
    for (x, y), (u, v) in zip(data[::2], data[1::2], strict=True):
        first, second = N.ce(m(x), y), N.ce(m(u), v)
        first.item()
        o.zero_grad()
        first.backward()
        second.item()
        second.backward()
        o.step()
    return m.values()


def hooks(N):
    m, o, data = setup(N)
    seen = []
    N.hook(m.b.bias, lambda g: g * 2)
    for x, y in data:
        h = m.a(x)
        k = h.relu()
        N.hook(h, lambda g: seen.append(g.detach().clone()) or g * 0.5)
        N.hook(k, lambda g: g + 1)
        loss = N.ce(m.b(k), y) + (h * h).sum() * 0.1
        o.zero_grad()
        loss.backward()
        o.step()
    return [s.tolist() for s in seen], m.values()


def hooks_looked_at(N):
    m, o, data = setup(N)
    seen = []
    for x, y in data[:4]:
        h = m.a(x)
        N.hook(h, lambda g: seen.append(g.detach().clone()) or g * 0.5)
        loss = N.ce(m.b(h.relu()), y) + (h * h).sum() * 0.1
        loss.item()
        o.zero_grad()
        loss.backward()
        o.step()
    return [s.tolist() for s in seen], m.values()


def hooks_that_look(N):
    """A hook looks at its gradient: the piece runs in the middle of the backward pass."""
    m, o, data = setup(N)
    seen = []
    N.hook(m.a.bias, lambda g: seen.append(g.tolist()))
    for x, y in data[:4]:
        h = m.a(x)
        k = h.relu()
        N.hook(k, lambda g: seen.append(g.tolist()) or g * 2)
        N.hook(h, lambda g: seen.append(g.sum().item()) or g * 0.5)
        loss = N.ce(m.b(k), y) + (h * h).sum() * 0.1
        o.zero_grad()
        loss.backward()
        o.step()
    return seen, m.values()


def data_update(N):
    m, _, data = setup(N)
    for i, (x, y) in enumerate(data):
        N.ce(m(x), y).backward()
        for p in m.parameters():
            p.data.add_(p.grad * (-0.1 / (i + 1)))
            p.grad = None
    return m.values()


def own_update(N):
    m, _, data = setup(N)
    for x, y in data:
        N.ce(m(x), y).backward()
        with N.no_grad():
            for p in m.parameters():
                p -= 0.1 * p.grad
                p.grad.zero_()
    return m.values()


def own_momentum(N):
    m, _, data = setup(N)
    velocity = [N.T(np.zeros(tuple(p.shape), "f4")) for p in m.parameters()]
    for x, y in data:
        N.ce(m(x), y).backward()
        with N.no_grad():
            for p, v in zip(m.parameters(), velocity, strict=True):
                v.mul_(0.9).add_(p.grad)
                p.sub_(v, alpha=0.05)
                p.grad = None
    return m.values(), [v.tolist() for v in velocity]


def running_statistics(N):
    """What batch normalisation does to its buffers, with an alias taken before."""
    m, _, data = setup(N)
    # the bias before the centring has gradient 0: Adam would amplify its rounding noise
    o = N.SGD(m.parameters(), lr=0.1)
    mean = N.T(np.zeros(6, "f4"))
    alias = mean.detach()
    for x, y in data:
        h = m.a(x)
        mu = h.sum(0) / 16
        with N.no_grad():
            mean.mul_(0.9).add_(mu * 0.1)
        loss = N.ce(m.b((h - mu).tanh()), y)
        o.zero_grad()
        loss.backward()
        o.step()
    return alias.tolist(), m.values()


def aliases(N):
    m, o, data = setup(N)
    alias = m.a.weight.detach()
    before = alias.clone()
    for x, y in data[:3]:
        loss = N.ce(m(x), y)
        o.zero_grad()
        loss.backward()
        o.step()
    seen = alias.tolist()
    with N.no_grad():
        m.a.weight.copy_(before)
    return seen, m.values(), alias.tolist()


def average(N):
    m, o, data = setup(N)
    mean = [p.detach().clone() for p in m.parameters()]
    for x, y in data:
        loss = N.ce(m(x), y)
        o.zero_grad()
        loss.backward()
        o.step()
        with N.no_grad():
            for a, p in zip(mean, m.parameters(), strict=True):
                a.mul_(0.9).add_(p, alpha=0.1)
    return [a.tolist() for a in mean]


def penalty(N):
    m, o, data = setup(N)
    for x, _y in data:
        x = x.clone().requires_grad_()
        s = m.b(m.a(x).tanh()).sum()
        (g,) = N.grad(s, [x], create_graph=True)
        loss = ((g * g).sum() - 1) ** 2
        o.zero_grad()
        loss.backward()
        o.step()
    return m.values()


def penalty_looked_at(N):
    """The same where everything was looked at before its gradient is asked for."""
    m, o, data = setup(N)
    for x, _y in data[:4]:
        x = x.clone().requires_grad_()
        s = m.b(m.a(x).tanh()).sum()
        s.item()
        (g,) = N.grad(s, [x], create_graph=True)
        loss = ((g * g).sum() - 1) ** 2
        loss.item()
        o.zero_grad()
        loss.backward()
        o.step()
    return m.values()


def third_derivative(N):
    x = N.T([1.0, 2.0]).requires_grad_()
    (g,) = N.grad((x * x * x * x).sum(), [x], create_graph=True)
    g.tolist()
    (h,) = N.grad(g.sum(), [x], create_graph=True)
    h.tolist()
    h.sum().backward()
    return g.tolist(), h.tolist(), x.grad.tolist()


def inside_gradient(N):
    x = N.T([1.0, 2.0]).requires_grad_()
    h = x * x
    y = (h * h * x).sum()
    y.item()
    (a, b) = N.grad(y, [h, x], create_graph=True)
    (c,) = N.grad(a.sum(), [h], retain_graph=True)
    (d,) = N.grad(a.sum() + b.sum(), [x])
    return a.tolist(), b.tolist(), c.tolist(), d.tolist()


def recurrent(N):
    m, o, data = setup(N)
    seen = []
    for _ in range(3):
        h = N.T(np.zeros((16, 8), "f4"))
        for x, _y in data[:4]:
            h = (m.a(h + x).tanh() @ m.a.weight).tanh()
            seen.append(h.sum().item())
        loss = (h * h).sum()
        o.zero_grad()
        loss.backward()
        o.step()
    return seen, m.values()


def running_total(N):
    m, o, data = setup(N)
    total, good = N.T(0.0), N.T(0)
    for x, y in data:
        p = m(x)
        loss = N.ce(p, y)
        o.zero_grad()
        loss.backward()
        o.step()
        total = total + loss.detach() * 16
        good = good + (p.argmax(1) == y).sum()
    return total.item(), good.item()


def tied(N):
    m, o, data = setup(N)
    for x, y in data:
        h = m.a(x).relu()
        r = h @ m.a.weight
        loss = ((r - x) * (r - x)).mean() + N.ce(m.b(h), y)
        o.zero_grad()
        loss.backward()
        o.step()
    return m.values()


def evaluation_between(N):
    m, o, data = setup(N)
    seen = []
    for i, (x, y) in enumerate(data):
        loss = N.ce(m(x), y)
        o.zero_grad()
        loss.backward()
        o.step()
        if i % 4 == 3:
            with N.no_grad():
                seen.append(N.ce(m(x), y).item())
    return seen


def leaves_made_of_views(N):
    """A view, and a detached value beside its original, become leaves of their own."""
    w = N.T([1.0, 2.0, 3.0, 4.0]).view(2, 2).requires_grad_()
    (w * w * w).sum().backward()
    x = N.T([1.0, 2.0]).requires_grad_()
    seen = [w.grad.tolist()]
    for look in (False, True):
        h = x * x
        if look:
            h.tolist()
        d = h.detach().requires_grad_()
        (d * d).sum().backward()
        h.backward(d.grad)
        seen += [d.grad.tolist(), x.grad.tolist()]
    rows = N.T([[1.0, 2.0], [3.0, 4.0]])[1].requires_grad_()
    (rows * 2).sum().backward()
    p = N.T([1.0, 1.0]).requires_grad_()
    p.data = (p * 3)[:2]
    (p * p).sum().backward()
    return seen, rows.grad.tolist(), p.grad.tolist()


def write_then_backward(N):
    x = N.T([1.0, 2.0, 3.0]).requires_grad_()
    b = N.T([0.0, 0.0, 0.0, 0.0])
    b[1:] = x * 3
    b.sum().item()
    (b * b).sum().backward()
    return x.grad.tolist(), b.requires_grad


SCENARIOS = {
    f.__name__: f
    for f in list(globals().values())
    if isinstance(f, types.FunctionType)
    and f.__module__ == __name__
    and f.__name__ not in ("small_face", "pytorch", "setup", "_two_losses")
}
