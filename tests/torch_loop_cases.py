"""Training loops as users write them, beside the plain one: own update rules, clipped gradients,
losses that are looked at early, several networks. Each is a function of the module that plays
`torch`; it returns a step, which is called with a batch and gives its loss as a tensor.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
from torch_compare import kind, raised

WIDTHS = 64, 64, 10
BATCH, BATCHES = 32, 16
RECORDED = 12  # steps


def _weights(shape, number: int) -> np.ndarray:
    bound = shape[-1] ** -0.5
    return np.random.default_rng(number).uniform(-bound, bound, shape).astype(np.float32)


def network(torch, widths=WIDTHS):
    """Linear layers with ReLU between, with weights that are the same everywhere."""
    nn = torch.nn
    layers = []
    for i, o in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(i, o), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for k, p in enumerate(model.parameters()):
            p.copy_(torch.tensor(_weights(tuple(p.shape), k)))
    return model


def batches(torch) -> list:
    random = np.random.default_rng(1)
    images = random.random((BATCHES, BATCH, WIDTHS[0]), np.float32)
    labels = random.integers(0, WIDTHS[-1], (BATCHES, BATCH))
    return [(torch.tensor(x), torch.tensor(y)) for x, y in zip(images, labels, strict=True)]


def _setting(torch):
    """(model, its parameters, criterion)"""
    model = network(torch)
    return model, list(model.parameters()), torch.nn.CrossEntropyLoss()


# ---------- what stands around an optimizer ----------
def adam(torch):
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.Adam(params)

    def step(x, y):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def loss_read_early(torch):
    """The loss is looked at before the backward pass of every step."""
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.Adam(params)
    seen = []

    def step(x, y):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        seen.append(loss.item())
        loss.backward()
        optimizer.step()
        return loss

    return step


def accuracy_and_loss(torch):
    """Sums of losses and of right answers are kept as Python numbers."""
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.Adam(params)
    sums = [0.0, 0]

    def step(x, y):
        optimizer.zero_grad()
        scores = model(x)
        loss = criterion(scores, y)
        loss.backward()
        optimizer.step()
        sums[0] += loss.item()
        sums[1] += (scores.argmax(1) == y).sum().item()
        return loss

    return step


def gradients_set_to_zero(torch):
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.Adam(params)

    def step(x, y):
        optimizer.zero_grad(set_to_none=False)
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def accumulation(torch):
    """Four quarters of a batch, one update."""
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.Adam(params)

    def step(x, y):
        optimizer.zero_grad()
        for part, labels in zip(x.chunk(4), y.chunk(4), strict=True):
            loss = criterion(model(part), labels) / 4
            loss.backward()
        optimizer.step()
        return loss

    return step


def clipped_norm(torch):
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.AdamW(params, lr=1e-3)

    def step(x, y):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss

    return step


def norm_read(torch):
    """The norm of the gradients is looked at before the update."""
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.SGD(params, lr=0.05, momentum=0.9)
    norms = []

    def step(x, y):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        norms.append(sum(p.grad.norm() ** 2 for p in params).item() ** 0.5)
        optimizer.step()
        return loss

    return step


def clipped_values(torch):
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.SGD(params, lr=0.05, momentum=0.9, weight_decay=1e-4)

    def step(x, y):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        for p in params:
            p.grad.data.clamp_(-0.01, 0.01)
        optimizer.step()
        return loss

    return step


def schedule(torch):
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.Adam(params)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=1000)

    def step(x, y):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        return loss

    return step


def two_groups(torch):
    """Weights decay, biases do not."""
    model, params, criterion = _setting(torch)
    groups = [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in params if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3)

    def step(x, y):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def penalty(torch):
    """The weights' squares are part of the loss."""
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.Adam(params)

    def step(x, y):
        loss = criterion(model(x), y) + 1e-4 * sum(p.pow(2).sum() for p in params)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def evaluation_between(torch):
    """Every fourth step the network is evaluated."""
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.Adam(params)
    count = [0]

    def step(x, y):
        model.train()
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        count[0] += 1
        if count[0] % 4 == 0:
            model.eval()
            with torch.no_grad():
                (model(x).argmax(1) == y).float().mean().item()
        return loss

    return step


def frozen_layer(torch):
    model, params, criterion = _setting(torch)
    for p in params[:2]:
        p.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in params if p.requires_grad])

    def step(x, y):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def two_losses(torch):
    """Two backward passes through one graph."""
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.Adam(params)

    def step(x, y):
        scores = model(x)
        loss = criterion(scores, y)
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        (1e-3 * scores.square().mean()).backward()
        optimizer.step()
        return loss

    return step


def gradient_penalty(torch):
    """The norm of the loss's gradient at the input is part of the loss."""
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.Adam(params)

    def step(x, y):
        x = x.clone().requires_grad_(True)
        loss = criterion(model(x), y)
        (slope,) = torch.autograd.grad(loss, x, create_graph=True)
        optimizer.zero_grad()
        (loss + slope.square().sum()).backward()
        optimizer.step()
        return loss

    return step


def second_derivatives(torch):
    """What is known of the past grows from step to step."""
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.LBFGS(params, lr=0.05, max_iter=3, history_size=20)

    def step(x, y):
        def closure():
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            return loss

        return optimizer.step(closure)

    return step


# ---------- update rules of the user's ----------
def own_descent(torch):
    model, params, criterion = _setting(torch)

    def step(x, y):
        loss = criterion(model(x), y)
        loss.backward()
        with torch.no_grad():
            for p in params:
                p -= 0.05 * p.grad
                p.grad = None
        return loss

    return step


def data_descent(torch):
    """As in older programs: through `.data`, with gradients set to zero."""
    model, params, criterion = _setting(torch)

    def step(x, y):
        loss = criterion(model(x), y)
        model.zero_grad(set_to_none=False)
        loss.backward()
        for p in model.parameters():
            p.data.add_(p.grad.data, alpha=-0.05)
        return loss

    return step


def gradients_asked_for(torch):
    """torch.autograd.grad, and new values copied in."""
    model, params, criterion = _setting(torch)

    def step(x, y):
        loss = criterion(model(x), y)
        slopes = torch.autograd.grad(loss, params)
        with torch.no_grad():
            for p, g in zip(params, slopes, strict=True):
                p.copy_(p - 0.05 * g)
        return loss

    return step


def own_momentum(torch):
    model, params, criterion = _setting(torch)
    speeds = [torch.zeros_like(p) for p in params]

    def step(x, y):
        loss = criterion(model(x), y)
        for p in params:
            p.grad = None
        loss.backward()
        with torch.no_grad():
            for p, v in zip(params, speeds, strict=True):
                v.mul_(0.9).add_(p.grad)
                p.add_(v, alpha=-0.05)
        return loss

    return step


def own_adam(torch):
    """An optimizer's class of the user's, with state and in-place steps."""
    model, params, criterion = _setting(torch)

    class Own(torch.optim.Optimizer):
        def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
            super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

        @torch.no_grad()
        def step(self):
            for group in self.param_groups:
                one, two = group["betas"]
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    state = self.state[p]
                    if not state:
                        state["step"] = 0
                        state["mean"] = torch.zeros_like(p)
                        state["square"] = torch.zeros_like(p)
                    state["step"] += 1
                    mean, square = state["mean"], state["square"]
                    mean.mul_(one).add_(p.grad, alpha=1 - one)
                    square.mul_(two).addcmul_(p.grad, p.grad, value=1 - two)
                    below = (square / (1 - two ** state["step"])).sqrt_().add_(group["eps"])
                    size = group["lr"] / (1 - one ** state["step"])
                    p.addcdiv_(mean, below, value=-size)

    optimizer = Own(params)

    def step(x, y):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def lists_of_tensors(torch):
    """The same rule over lists of tensors."""
    model, params, criterion = _setting(torch)
    means = [torch.zeros_like(p) for p in params]
    squares = [torch.zeros_like(p) for p in params]
    count = [0]

    @torch.no_grad()
    def update():
        count[0] += 1
        grads = [p.grad for p in params]
        torch._foreach_lerp_(means, grads, 0.1)
        torch._foreach_mul_(squares, 0.999)
        torch._foreach_addcmul_(squares, grads, grads, 0.001)
        below = torch._foreach_sqrt(squares)
        torch._foreach_div_(below, (1 - 0.999 ** count[0]) ** 0.5)
        torch._foreach_add_(below, 1e-8)
        torch._foreach_addcdiv_(params, means, below, -1e-3 / (1 - 0.9 ** count[0]))

    def step(x, y):
        loss = criterion(model(x), y)
        for p in params:
            p.grad = None
        loss.backward()
        update()
        return loss

    return step


# ---------- several networks ----------
def average_of_weights(torch):
    """A second network follows the first one's weights."""
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.Adam(params)
    average = deepcopy(model)
    for p in average.parameters():
        p.requires_grad_(False)

    def step(x, y):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for a, p in zip(average.parameters(), params, strict=True):
                a.mul_(0.99).add_(p, alpha=0.01)
        return loss

    return step


def dictionary_of_averages(torch):
    """The averages are kept by name, through `.data`."""
    model, params, criterion = _setting(torch)
    optimizer = torch.optim.SGD(params, lr=0.05)
    shadow = {name: p.data.clone() for name, p in model.named_parameters()}

    def step(x, y):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for name, p in model.named_parameters():
            shadow[name] = 0.99 * shadow[name] + 0.01 * p.data
        return loss

    return step


def target_network(torch):
    """A value network learns towards a copy of itself that follows it slowly."""
    model, params, _ = _setting(torch)
    optimizer = torch.optim.Adam(params)
    target = deepcopy(model)

    def step(x, y):
        chosen = model(x).gather(1, y.unsqueeze(1)).squeeze(1)
        with torch.no_grad():
            wanted = 1.0 + 0.9 * target(x).max(1).values
        loss = torch.nn.functional.smooth_l1_loss(chosen, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for t, p in zip(target.parameters(), model.parameters(), strict=True):
            t.data.copy_(0.01 * p.data + 0.99 * t.data)
        return loss

    return step


def adversaries(torch):
    """Two networks and two optimizers, against each other."""
    one, two = network(torch, (16, 64, 64)), network(torch, (64, 64, 1))
    criterion = torch.nn.BCEWithLogitsLoss()
    first = torch.optim.Adam(one.parameters(), lr=2e-4, betas=(0.5, 0.999))
    second = torch.optim.Adam(two.parameters(), lr=2e-4, betas=(0.5, 0.999))
    true, false = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)

    def step(x, y):
        made = one(x[:, :16])
        second.zero_grad()
        found = criterion(two(x), true) + criterion(two(made.detach()), false)
        found.backward()
        second.step()
        first.zero_grad()
        loss = criterion(two(made), true)
        loss.backward()
        first.step()
        return loss

    return step


LOOPS = {
    f.__name__: f
    for f in (
        adam, loss_read_early, accuracy_and_loss, gradients_set_to_zero, accumulation,
        clipped_norm, norm_read, clipped_values, schedule, two_groups, penalty,
        evaluation_between, frozen_layer, two_losses, gradient_penalty, second_derivatives,
        own_descent, data_descent, gradients_asked_for, own_momentum, own_adam, lists_of_tensors,
        average_of_weights, dictionary_of_averages, target_network, adversaries,
    )
}  # fmt: skip


def case_losses(torch):
    """The first losses of every loop."""
    data = batches(torch)
    found = {}
    for name, loop in LOOPS.items():
        step = loop(torch)
        found[name] = [step(*data[k % BATCHES]).item() for k in range(RECORDED)]
    return found


# what stands behind the name of an operation on lists: "o" lists, "n" numbers, "1" one number
_FOREACH = """
abs: acos: add:o add:n add:1 add_:o addcdiv:oo addcdiv:oo1 addcdiv_:oon addcmul:oo addcmul_:oon
asin: atan: ceil: clamp_max:1 clamp_max_:o clamp_min:n clamp_min_:1 clone: copy_:o cos: cosh_:
div:o div:n div_:1 erf: erfc: exp: exp_: expm1: floor: frac: lerp:oo lerp:o1 lerp_:on lgamma: log:
log10: log1p: log2: max: maximum:o maximum_:1 minimum:n minimum_:o mul:o mul_:n mul:1 neg: norm:
norm:1 pow:o pow:n pow_:1 powsum: powsum:1 reciprocal: round: rsqrt: sigmoid: sign: sin: sinh:
sqrt: sqrt_: sub:o sub:1 sub_:n tan: tanh: trunc: zero_:
""".split()


def case_foreach(torch):
    """Every `torch._foreach_*`, and what it leaves in its first list."""
    random = np.random.default_rng(5)

    def tensors():
        return [torch.tensor(random.uniform(0.1, 0.9, s).astype("f4")) for s in ((3,), (2, 2), ())]

    found = {}
    for row in _FOREACH:
        name, kinds = row.split(":")
        given = {"o": tensors, "n": lambda: [0.5, 1.5, 2.0], "1": lambda: 1.25}
        first = tensors()
        result = getattr(torch, f"_foreach_{name}")(first, *[given[k]() for k in kinds])
        found[row] = [list(result), first, type(result).__name__, result is first]
    found["pow number"] = list(torch._foreach_pow(2.0, tensors()))
    return found


def case_foreach_refuses(torch):
    pair, single = [torch.ones(2), torch.ones(3)], [torch.ones(2)]
    return [
        raised(lambda: torch._foreach_add(pair, single)),
        raised(lambda: torch._foreach_add([], 1)),
        raised(lambda: torch._foreach_mul(pair, [1.0])),
        raised(lambda: torch._foreach_add(pair, torch.ones(2))),
        kind(lambda: torch._foreach_add(torch.ones(2), 1)),
        kind(lambda: torch._foreach_add(pair, "x")),
    ]
