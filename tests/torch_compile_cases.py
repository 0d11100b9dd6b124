"""Compiled functions: the same numbers as without, whatever changes between the calls."""

from __future__ import annotations

from torch_training_cases import batches, loss_of, network, weights


def _compiled(torch, function):
    """PyTorch needs no compiler here: what counts is the numbers."""
    import os

    if torch.__name__ == "torch" and not os.environ.get("GEMEL_ORACLE_COMPILES"):
        return function
    return torch.compile(function)


def case_function(torch):
    f = _compiled(torch, lambda a, b: torch.sin(a) @ b + 1)
    x, y = torch.arange(6.0).reshape(2, 3), torch.arange(12.0).reshape(3, 4)
    return f(x, y), f(x * 2, y), f(y.t()[:2], y)


def case_structures(torch):
    def f(x, pair, scale=2, **named):
        return {"a": x * scale, "b": [pair[0] + pair[1], named["z"]], "c": None, "d": scale}

    g = _compiled(torch, f)
    x = torch.ones(2)
    first = g(x, (x, x * 2), z=x)
    second = g(x, (x, x * 3), scale=3, z=x + 1)
    third = g(x, [x, x * 3], scale=3.5, z=x + 1)
    return first, second, third


def case_gradients_through(torch):
    f = _compiled(torch, lambda x, w: torch.tanh(x @ w).sum())
    w = torch.full((3, 2), 0.3, requires_grad=True)
    found = []
    for i in range(3):
        x = torch.arange(6.0).reshape(2, 3) * (i + 1) / 10
        loss = f(x, w) * 2 + (w * w).sum()
        loss.backward()
        found.append(w.grad.tolist())
    return found


def case_model(torch):
    model = network(torch)
    call = _compiled(torch, model) if torch.__name__ != "torch" else model
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for x, y in batches(torch):
        loss = torch.nn.functional.cross_entropy(call(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, weights(model)


def _step(torch, model, optimizer, zero=True, step=True):
    def run(x, y):
        loss = loss_of(torch, model, x, y)
        if zero:
            optimizer.zero_grad()
        loss.backward()
        if step:
            optimizer.step()
        return loss

    return _compiled(torch, run)


def case_whole_step(torch):
    found = []
    for make in (
        lambda p: torch.optim.SGD(p, lr=0.1),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2),
        lambda p: torch.optim.Adam(p, lr=0.01),
        lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
        lambda p: torch.optim.RMSprop(p, lr=0.01),
    ):
        model = network(torch)
        step = _step(torch, model, make(model.parameters()))
        found.append([[step(x, y).item() for x, y in batches(torch)], weights(model)])
    return found


def case_scheduler(torch):
    model = network(torch)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)
    step = _step(torch, model, optimizer)
    losses = []
    for x, y in batches(torch):
        losses.append(step(x, y).item())
        scheduler.step()
    return losses, weights(model), float(optimizer.state[model.a.weight]["step"])


def case_step_outside(torch):
    model = network(torch)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    step = _step(torch, model, optimizer, zero=False, step=False)
    for x, y in batches(torch):
        step(x, y)
        optimizer.step()
        optimizer.zero_grad()
    return weights(model)


def case_accumulation(torch):
    model = network(torch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = _step(torch, model, optimizer, zero=False, step=False)
    for i, (x, y) in enumerate(batches(torch)):
        step(x, y)
        if i % 3 == 2:
            optimizer.step()
            optimizer.zero_grad()
    return weights(model), [p.grad is None for p in model.parameters()]


def case_accumulation_into_given_gradients(torch):
    model = network(torch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = _step(torch, model, optimizer, zero=False, step=False)
    kept = []
    for i, (x, y) in enumerate(batches(torch)):
        if i % 3 == 0:
            for p in model.parameters():
                p.grad = torch.full_like(p, 0.01 * i)
        step(x, y)
        if i % 3 == 2:
            kept.append(model.b.bias.grad)
            optimizer.step()
    return weights(model), kept


def case_plain_and_compiled_steps(torch):
    model = network(torch)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    step = _step(torch, model, optimizer)
    for i, (x, y) in enumerate(batches(torch)):
        if i % 3 == 1:
            loss = loss_of(torch, model, x, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        else:
            step(x, y)
    return weights(model), float(optimizer.state[model.a.weight]["step"])


def case_training_flag_and_batch_norm(torch):
    model = network(torch, True)
    f = _compiled(torch, lambda x: model(x))
    found = []
    for i, (x, _) in enumerate(batches(torch)[:6]):
        model.train(i % 3 != 2)
        found.append(f(x).sum().item())
    return found, model.bn.running_mean, model.bn.num_batches_tracked


def case_dropout_goes_on(torch):
    torch.manual_seed(3)
    nn = torch.nn
    f = _compiled(torch, lambda x: nn.functional.dropout(x, 0.5) + torch.rand(2, 3))
    x = torch.ones(2, 3)
    return [f(x).tolist() for _ in range(3)], torch.rand(2)


def case_a_look_breaks_the_graph(torch):
    def f(x):
        y = x * 2
        return y + 1 if y.sum().item() > 3 else y - 1

    g = _compiled(torch, f)
    return g(torch.ones(3)), g(torch.zeros(3)), g(torch.ones(1))


def case_enclosing_numbers(torch):
    scale = [1.0]
    box = {"factor": 2.0}

    def make():
        factor = 2.0

        def f(x):
            return x * factor

        def change(value):
            nonlocal factor
            factor = value

        return f, change

    f, change = make()
    g = _compiled(torch, f)
    x = torch.ones(2)
    first = g(x).tolist()
    change(5.0)
    return first, g(x).tolist(), scale, box


def case_no_grad_and_grad(torch):
    w = torch.ones(2, requires_grad=True)
    f = _compiled(torch, lambda x: (x * w).sum())
    with torch.no_grad():
        first = f(torch.ones(2)).requires_grad
    return first, f(torch.ones(2)).requires_grad, f(torch.ones(2)).item()


def case_in_place_on_an_argument(torch):
    f = _compiled(torch, lambda x, y: x.add_(y).sum())
    x = torch.zeros(3)
    return f(x, torch.ones(3)), f(x, torch.ones(3)), x


def case_buffers_set_anew(torch):
    class Smooth(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.zeros(2))
            self.plain = torch.ones(2)

        def forward(self, x):
            self.mean = self.mean * 0.9 + x.mean(0) * 0.1
            self.plain = self.plain + 1
            return x - self.mean + self.plain

    model = Smooth()
    f = _compiled(torch, lambda x: model(x).sum())
    found = [f(torch.ones(3, 2) * i).item() for i in range(4)]
    return found, model.mean, model.plain, list(model.state_dict())


def case_tensors_kept_elsewhere(torch):
    kept = []
    box = {}

    def f(x):
        y = x * 2
        kept.append(y)
        box["last"] = y + 1
        return y.sum()

    g = _compiled(torch, f)
    found = [g(torch.ones(2) * i).item() for i in range(3)]
    return found, [k.tolist() for k in kept], box["last"]


def case_attributes_of_a_broken_graph(torch):
    class Looking(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x):
            self.count = self.count + 1
            self.last = x * 2
            return x * self.count if self.count.item() < 3 else -x

    model = Looking()
    f = _compiled(torch, lambda x: model(x))
    return [f(torch.ones(1)).tolist() for _ in range(4)], model.count, model.last


def case_results_that_were_there(torch):
    w = torch.ones(2, requires_grad=True)

    def f(x, y):
        x.mul_(2)
        return x, w, [y, x + w], y[0]

    g = _compiled(torch, f)
    found = []
    for i in range(3):
        x, y = torch.ones(2) * i, torch.ones(2)
        out = g(x, y)
        found.append([out[0] is x, out[1] is w, out[2][0] is y, out[2][1], out[3].item()])
        out[2][1].sum().backward()
    return found, w.grad


def case_method(torch):
    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor([2.0, 3.0]))

        def forward(self, x):
            return self.run(x) + 1

        def plain(self, x):
            return x * self.weight

    Scaled.run = _compiled(torch, Scaled.plain)
    model = Scaled()
    model(torch.ones(2)).sum().backward()
    other = Scaled()
    return model(torch.ones(2)), model.weight.grad, other(torch.ones(2) * 2)
