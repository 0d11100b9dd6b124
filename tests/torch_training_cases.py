"""Whole training programs: what a user writes, from plain loops to odd ones."""

from __future__ import annotations

import copy

import numpy as np

_rng = np.random.default_rng(3)
XS = _rng.standard_normal((12, 16, 8)).astype("f4")
YS = _rng.integers(0, 4, (12, 16))
WEIGHTS = [_rng.uniform(-0.3, 0.3, s).astype("f4") for s in ((6, 8), (6,), (4, 6), (4,))]


def network(torch, norm: bool = False):
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(8, 6)
            self.b = nn.Linear(6, 4)
            if norm:
                self.bn = nn.BatchNorm1d(6)

        def forward(self, x):
            h = self.a(x)
            h = self.bn(h) if norm else h
            return self.b(torch.relu(h))

    model = Net()
    with torch.no_grad():
        parts = [model.a.weight, model.a.bias, model.b.weight, model.b.bias]
        for p, w in zip(parts, WEIGHTS, strict=True):
            p.copy_(torch.tensor(w))
    return model


def batches(torch):
    return [(torch.tensor(x), torch.tensor(y)) for x, y in zip(XS, YS, strict=True)]


def loss_of(torch, model, x, y):
    return torch.nn.functional.cross_entropy(model(x), y)


def adam(torch, model, **options):
    return torch.optim.Adam(model.parameters(), lr=0.01, **options)


def weights(model):
    return [p.detach().tolist() for p in model.parameters()]


def train(torch, model, optimizer, each=None):
    """The plain loop; `each(i, x, y)` runs before every step."""
    losses = []
    for i, (x, y) in enumerate(batches(torch)):
        if each is not None:
            each(i, x, y)
        loss = loss_of(torch, model, x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss)
    return [loss.item() for loss in losses]


def case_plain(torch):
    model = network(torch)
    return train(torch, model, adam(torch, model)), weights(model)


def case_item_before_backward(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    seen = []
    for x, y in batches(torch):
        loss = loss_of(torch, model, x, y)
        seen.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return seen, weights(model)


def case_accumulation(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    for i, (x, y) in enumerate(batches(torch)):
        (loss_of(torch, model, x, y) / 3).backward()
        if i % 3 == 2:
            optimizer.step()
            optimizer.zero_grad()
    return weights(model)


def case_clipping(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    norms = []
    for x, y in batches(torch):
        loss = loss_of(torch, model, x, y)
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1))
        optimizer.step()
    return [n.item() for n in norms], weights(model)


def case_clipping_by_value_and_other_norms(torch):
    model = network(torch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    norms = []
    for i, (x, y) in enumerate(batches(torch)):
        optimizer.zero_grad()
        loss_of(torch, model, x, y).backward()
        if i % 3 == 0:
            torch.nn.utils.clip_grad_value_(model.parameters(), 0.01)
        else:
            order = (1.0, float("inf"))[i % 3 - 1]
            norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 0.2, order).item())
        optimizer.step()
    return norms, weights(model)


def case_gradients_read(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    seen = []
    for x, y in batches(torch):
        optimizer.zero_grad()
        loss_of(torch, model, x, y).backward()
        seen.append(model.a.bias.grad.tolist())
        optimizer.step()
    return seen, weights(model)


def case_freezing(torch):
    model = network(torch)

    def each(i, x, y):
        if i == 5:
            model.a.requires_grad_(False)
        if i == 9:
            model.a.requires_grad_(True)

    return train(torch, model, adam(torch, model), each), weights(model)


def case_branches(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    for i, (x, y) in enumerate(batches(torch)):
        h = model.a(x)
        h = torch.relu(h) if h.sum().item() > 0 else h.tanh()
        if i % 3 == 0:
            h = h * 2
        loss = torch.nn.functional.cross_entropy(model.b(h), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weights(model)


def case_several_backwards(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    for x, y in batches(torch):
        h = torch.relu(model.a(x))
        first = torch.nn.functional.cross_entropy(model.b(h), y)
        second = (h * h).sum() * 0.01
        optimizer.zero_grad()
        first.backward(retain_graph=True)
        second.backward()
        optimizer.step()
    return weights(model)


def case_several_backwards_after_a_look(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    seen = []
    for x, y in batches(torch):
        h = torch.relu(model.a(x))
        first = torch.nn.functional.cross_entropy(model.b(h), y)
        second = (h * h).sum() * 0.01
        seen.append(first.item() + second.item())
        optimizer.zero_grad()
        first.backward(retain_graph=True)
        second.backward()
        optimizer.step()
    return seen, weights(model)


def case_hooks_on_tensors(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    seen = []
    model.b.bias.register_hook(lambda g: g * 2)
    for x, y in batches(torch):
        h = model.a(x)
        k = torch.relu(h)
        h.register_hook(lambda g: seen.append(g.detach().clone()) or g * 0.5)
        k.register_hook(lambda g: g + 1)
        loss = torch.nn.functional.cross_entropy(model.b(k), y) + (h * h).sum() * 0.1
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [s.tolist() for s in seen], weights(model)


def case_scheduler_by_hand(torch):
    model = network(torch)
    optimizer = adam(torch, model)

    def each(i, x, y):
        optimizer.param_groups[0]["lr"] = 0.01 * 0.9**i

    return train(torch, model, optimizer, each), weights(model)


def case_groups(torch):
    model = network(torch)
    optimizer = torch.optim.Adam(
        [
            {"params": [model.a.weight, model.b.weight], "weight_decay": 0.1},
            {"params": [model.a.bias, model.b.bias], "lr": 0.1},
        ],
        lr=0.01,
    )
    return train(torch, model, optimizer), weights(model)


def case_update_through_data(torch):
    model = network(torch)
    for i, (x, y) in enumerate(batches(torch)):
        loss_of(torch, model, x, y).backward()
        for p in model.parameters():
            p.data.add_(-0.1 / (i + 1) * p.grad)
            p.grad = None
    return weights(model)


def case_update_by_hand(torch):
    model = network(torch)
    for x, y in batches(torch):
        loss_of(torch, model, x, y).backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.1 * p.grad
                p.grad.zero_()
    return weights(model)


def case_momentum_by_hand(torch):
    model = network(torch)
    velocities = [torch.zeros_like(p) for p in model.parameters()]
    for x, y in batches(torch):
        loss_of(torch, model, x, y).backward()
        with torch.no_grad():
            for p, v in zip(model.parameters(), velocities, strict=True):
                v.mul_(0.9).add_(p.grad)
                p.sub_(v, alpha=0.05)
                p.grad = None
    return weights(model), [v.tolist() for v in velocities]


def case_batch_norm(torch):
    model = network(torch, True)
    state = model.state_dict()
    mean = state["bn.running_mean"]
    train(torch, model, torch.optim.SGD(model.parameters(), lr=0.1))
    model.eval()
    out = model(batches(torch)[0][0]).detach().tolist()
    return out, mean.tolist(), model.bn.running_var.tolist(), model.bn.num_batches_tracked.item()


def case_state_dict_shares_memory(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    state = model.state_dict()
    weight = state["a.weight"]
    before = weight.clone()
    train(torch, model, optimizer)
    after = weight.tolist()
    model.load_state_dict({**model.state_dict(), "a.weight": before})
    return after, weights(model), weight.tolist()


def case_optimizer_state_touched(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    seen = []

    def each(i, x, y):
        if i == 5:
            optimizer.state[model.a.weight]["exp_avg"].zero_()
        if i == 7:
            seen.append(optimizer.state[model.a.bias]["exp_avg_sq"].tolist())
            seen.append(float(optimizer.state[model.a.bias]["step"]))

    return train(torch, model, optimizer, each), seen, weights(model)


def case_average_of_weights(torch):
    model = network(torch)
    averages = [p.detach().clone() for p in model.parameters()]
    optimizer = adam(torch, model)
    for x, y in batches(torch):
        optimizer.zero_grad()
        loss_of(torch, model, x, y).backward()
        optimizer.step()
        with torch.no_grad():
            for a, p in zip(averages, model.parameters(), strict=True):
                a.mul_(0.9).add_(p, alpha=0.1)
    return [a.tolist() for a in averages]


def case_gradients_zeroed_in_place(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    for x, y in batches(torch):
        optimizer.zero_grad(set_to_none=False)
        loss_of(torch, model, x, y).backward()
        optimizer.step()
    return weights(model)


def case_gradient_penalty(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    for x, _ in batches(torch):
        x = x.clone().requires_grad_()
        total = model.b(model.a(x).tanh()).sum()
        (g,) = torch.autograd.grad(total, [x], create_graph=True)
        loss = ((g * g).sum() - 1) ** 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weights(model)


def case_recurrent_with_looks(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    seen = []
    for _ in range(3):
        h = torch.zeros(16, 8)
        for x, _ in batches(torch)[:4]:
            h = (model.a(h + x).tanh() @ model.a.weight).tanh()
            seen.append(h.sum().item())
        loss = (h * h).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return seen, weights(model)


def case_running_totals(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    total, good = torch.tensor(0.0), torch.tensor(0)
    for x, y in batches(torch):
        scores = model(x)
        loss = torch.nn.functional.cross_entropy(scores, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total = total + loss.detach() * 16
        good = good + (scores.argmax(1) == y).sum()
    return total.item(), good.item()


def case_tied_weights(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    for x, y in batches(torch):
        h = torch.relu(model.a(x))
        back = h @ model.a.weight
        loss = ((back - x) ** 2).mean() + torch.nn.functional.cross_entropy(model.b(h), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weights(model)


def case_tied_modules(torch):
    nn = torch.nn

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(8, 8, bias=False)
            self.b = nn.Linear(8, 8, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(torch.tanh(self.a(x)))

    torch.manual_seed(1)
    model = Tied()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, _ in batches(torch):
        loss = nn.functional.mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weights(model), list(model.state_dict()), len(list(model.parameters()))


def case_evaluation_between(torch):
    model = network(torch)
    optimizer = adam(torch, model)
    seen = []
    for i, (x, y) in enumerate(batches(torch)):
        optimizer.zero_grad()
        loss_of(torch, model, x, y).backward()
        optimizer.step()
        if i % 4 == 3:
            with torch.no_grad():
                seen.append(loss_of(torch, model, x, y).item())
    return seen


def case_closure(torch):
    model = network(torch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for x, y in batches(torch):

        def closure(x=x, y=y):
            optimizer.zero_grad()
            loss = loss_of(torch, model, x, y)
            loss.backward()
            return loss

        losses.append(optimizer.step(closure).item())
    return losses, weights(model)


def case_two_optimizers(torch):
    model = network(torch)
    first = torch.optim.SGD(model.a.parameters(), lr=0.1)
    second = torch.optim.Adam(model.b.parameters(), lr=0.01)
    for x, y in batches(torch):
        first.zero_grad()
        second.zero_grad()
        loss_of(torch, model, x, y).backward()
        first.step()
        second.step()
    return weights(model)


def case_resumed(torch):
    model = network(torch)
    optimizer = adam(torch, model, amsgrad=True)
    train(torch, model, optimizer)
    states = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    train(torch, model, optimizer)
    straight = weights(model)
    again = network(torch)
    other = adam(torch, again)
    again.load_state_dict(states[0])
    other.load_state_dict(states[1])
    train(torch, again, other)
    return straight, weights(again), straight == weights(again)


def case_dropout(torch):
    nn = torch.nn
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.4), nn.Linear(32, 4))
    losses = train(torch, model, adam(torch, model))
    model.eval()
    return losses, model(batches(torch)[0][0]), torch.rand(3)


def case_layer_norm_and_embedding(torch):
    nn = torch.nn
    torch.manual_seed(6)
    table, norm, head = nn.Embedding(10, 8, padding_idx=0), nn.LayerNorm(8), nn.Linear(8, 4)
    model = nn.ModuleList([table, norm, head])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    losses = []
    for i in range(6):
        index = (torch.arange(16) * (i + 3)) % 10
        loss = nn.functional.cross_entropy(head(norm(table(index))), index % 4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, table.weight.grad.tolist()[:3], weights(model)


def case_unused_parameters(torch):
    model = network(torch)
    optimizer = adam(torch, model, weight_decay=0.1)
    for i, (x, _) in enumerate(batches(torch)):
        optimizer.zero_grad()
        h = model.a(x)
        loss = (h * h).mean() if i % 2 else model.b(h).mean()
        loss.backward()
        optimizer.step()
    return weights(model), [float(optimizer.state[p]["step"]) for p in model.parameters()]


def case_deep_copies(torch):
    model = network(torch)
    twin = copy.deepcopy(model)
    train(torch, model, adam(torch, model))
    return weights(twin), weights(model), [p.requires_grad for p in twin.parameters()]


def case_detached_target(torch):
    model = network(torch)
    target = copy.deepcopy(model)
    optimizer = adam(torch, model)
    for i, (x, _) in enumerate(batches(torch)):
        with torch.no_grad():
            goal = target(x).max(1).values
        loss = torch.nn.functional.smooth_l1_loss(model(x).max(1).values * 2, goal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if i % 4 == 0:
            target.load_state_dict(model.state_dict())
    return weights(model), weights(target)
