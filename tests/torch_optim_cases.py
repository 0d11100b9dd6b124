"""Optimizers and schedulers: values over several steps, state, printing, errors."""

from __future__ import annotations

import copy

from torch_compare import raised


def _parameters(torch):
    a = torch.nn.Parameter(torch.arange(6, dtype=torch.float32).reshape(2, 3) / 3 - 0.5)
    b = torch.nn.Parameter(torch.tensor([0.5, -1.5]))
    return [a, b]


def _gradients(torch, params, i):
    for k, p in enumerate(params):
        cells = torch.arange(p.numel(), dtype=torch.float32).reshape(p.shape)
        p.grad = torch.sin(cells * (i + 1) + k) * (1 + i % 3)


def _run(torch, make, steps: int = 6):
    params = _parameters(torch)
    optimizer = make(params)
    for i in range(steps):
        _gradients(torch, params, i)
        optimizer.step()
    state = optimizer.state_dict()["state"]
    return [p.tolist() for p in params], state


def _variants(torch):
    o = torch.optim
    return {
        "sgd": lambda p: o.SGD(p, lr=0.1),
        "sgd momentum": lambda p: o.SGD(p, lr=0.1, momentum=0.9),
        "sgd dampening": lambda p: o.SGD(p, lr=0.1, momentum=0.9, dampening=0.3),
        "sgd nesterov": lambda p: o.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        "sgd decay": lambda p: o.SGD(p, lr=0.1, weight_decay=0.1),
        "sgd all": lambda p: o.SGD(p, 0.1, 0.8, 0, 0.1, True, maximize=True),
        "adam": lambda p: o.Adam(p),
        "adam betas": lambda p: o.Adam(p, lr=0.1, betas=(0.7, 0.8), eps=1e-3),
        "adam amsgrad": lambda p: o.Adam(p, lr=0.1, amsgrad=True),
        "adam decay": lambda p: o.Adam(p, lr=0.1, weight_decay=0.2),
        "adam maximize": lambda p: o.Adam(p, lr=0.1, maximize=True),
        "adam options": lambda p: o.Adam(p, lr=0.1, foreach=True),
        "adamw": lambda p: o.AdamW(p, lr=0.1),
        "adamw decay": lambda p: o.AdamW(p, lr=0.1, weight_decay=0.3, amsgrad=True),
        "adam decoupled": lambda p: o.Adam(
            p, lr=0.1, weight_decay=0.1, decoupled_weight_decay=True
        ),
        "adam tensor rate": lambda p: o.Adam(p, lr=torch.tensor(0.1)),
        "rmsprop": lambda p: o.RMSprop(p),
        "rmsprop momentum": lambda p: o.RMSprop(p, momentum=0.9, weight_decay=0.1),
        "rmsprop centered": lambda p: o.RMSprop(p, centered=True, alpha=0.8, momentum=0.5),
        "adagrad": lambda p: o.Adagrad(p, lr=0.1),
        "adagrad decay": lambda p: o.Adagrad(p, 0.1, 0.1, 0.1, 0.5),
    }


def case_values(torch):
    return {name: _run(torch, make) for name, make in _variants(torch).items()}


def case_printing(torch):
    found = {}
    for name, make in _variants(torch).items():
        optimizer = make(_parameters(torch))
        found[name] = [repr(optimizer), optimizer.state_dict()]
    return found


def case_errors(torch):
    o = torch.optim
    p = _parameters(torch)[1]
    groups = o.SGD([p])
    calls = [
        lambda: o.SGD([p], lr=-1),
        lambda: o.SGD([p], momentum=-1),
        lambda: o.SGD([p], weight_decay=-1),
        lambda: o.SGD([p], nesterov=True),
        lambda: o.SGD(p.detach()),
        lambda: o.SGD([]),
        lambda: o.SGD([p * 2]),
        lambda: o.SGD([3]),
        lambda: o.SGD([{"params": [p]}, {"params": [p]}]),
        lambda: o.Adam([p], betas=(1.0, 0.9)),
        lambda: o.Adam([p], betas=(0.1, 1.9)),
        lambda: o.Adam([p], eps=-1),
        lambda: o.Adam([p], weight_decay=-1),
        lambda: o.Adam([p], lr=-1),
        lambda: o.Adam([p], foreach=True, fused=True),
        lambda: o.SGD([{"parms": p}]),
        lambda: groups.load_state_dict({"state": {}, "param_groups": []}),
        lambda: groups.load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}),
        lambda: groups.add_param_group({"params": [p]}),
        lambda: groups.add_param_group([p]),
        lambda: o.lr_scheduler.StepLR(3, 3),
        lambda: o.lr_scheduler.StepLR(o.SGD([p]), 3, last_epoch=3),
        lambda: o.lr_scheduler.ReduceLROnPlateau(groups, factor=2.0),
        lambda: o.lr_scheduler.LinearLR(groups, start_factor=3),
        lambda: o.lr_scheduler.LambdaLR(groups, [len, len]),
        lambda: o.lr_scheduler.OneCycleLR(groups, 0.1),
    ]
    return [raised(f) for f in calls]


def case_state_round_trip(torch):
    found = []
    for name in ("sgd momentum", "adam amsgrad", "rmsprop centered", "adagrad"):
        make = _variants(torch)[name]
        params = _parameters(torch)
        optimizer = make(params)
        for i in range(3):
            _gradients(torch, params, i)
            optimizer.step()
        saved = copy.deepcopy(optimizer.state_dict())
        twins = [torch.nn.Parameter(p.detach().clone()) for p in params]
        other = make(twins)
        other.load_state_dict(saved)
        for i in range(3, 6):
            for some, own in ((params, optimizer), (twins, other)):
                _gradients(torch, some, i)
                own.step()
        found.append([[p.tolist() for p in params], [p.tolist() for p in twins]])
        found.append([sorted(own) for own in saved["state"].values()])
    return found


def case_named_parameters_and_groups(torch):
    a, b = _parameters(torch)
    optimizer = torch.optim.SGD([("a", a)], lr=0.1)
    optimizer.add_param_group({"params": [("b", b)], "lr": 0.5})
    _gradients(torch, [a, b], 1)
    optimizer.step()
    return a, b, optimizer.state_dict(), len(optimizer.param_groups)


def case_gradient_missing_for_some_steps(torch):
    params = _parameters(torch)
    optimizer = torch.optim.Adam(params, lr=0.1)
    for i in range(6):
        _gradients(torch, params, i)
        if i in (1, 2):
            params[0].grad = None
        optimizer.step()
    return [p.tolist() for p in params], optimizer.state_dict()["state"]


def case_state_replaced(torch):
    params = _parameters(torch)
    optimizer = torch.optim.SGD(params, lr=0.1, momentum=0.9)
    for i in range(5):
        _gradients(torch, params, i)
        if i == 2:
            optimizer.state[params[0]]["momentum_buffer"] = torch.ones(2, 3)
        if i == 3:
            optimizer.state.clear()
        optimizer.step()
    return [p.tolist() for p in params]


def case_optimizer_of_a_user(torch):
    class Own(torch.optim.Optimizer):
        def __init__(self, params, lr=0.1):
            super().__init__(params, {"lr": lr})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    state = self.state[p]
                    if len(state) == 0:
                        state["step"] = 0
                        state["velocity"] = torch.zeros_like(p)
                    state["step"] += 1
                    state["velocity"].mul_(0.9).add_(p.grad)
                    p.add_(state["velocity"], alpha=-group["lr"] / state["step"])

    params = _parameters(torch)
    optimizer = Own(params)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    for i in range(5):
        _gradients(torch, params, i)
        optimizer.step()
        scheduler.step()
    return [p.tolist() for p in params], optimizer.state_dict()


def case_step_hooks(torch):
    params = _parameters(torch)
    optimizer = torch.optim.SGD(params, lr=0.1)
    seen = []
    handle = optimizer.register_step_pre_hook(lambda o, a, k: seen.append("before"))
    optimizer.register_step_post_hook(lambda o, a, k: seen.append("after"))
    _gradients(torch, params, 0)
    optimizer.step()
    handle.remove()
    optimizer.step()
    return seen


def _schedulers(torch):
    s = torch.optim.lr_scheduler
    return {
        "step": lambda o: s.StepLR(o, 3, 0.5),
        "multi step": lambda o: s.MultiStepLR(o, [2, 5, 5], 0.5),
        "exponential": lambda o: s.ExponentialLR(o, 0.9),
        "cosine": lambda o: s.CosineAnnealingLR(o, 5, 0.01),
        "lambda": lambda o: s.LambdaLR(o, lambda e: 1 / (e + 1)),
        "lambdas": lambda o: s.LambdaLR(o, [lambda e: 0.9**e, lambda e: 0.5]),
        "multiplicative": lambda o: s.MultiplicativeLR(o, lambda e: 0.9),
        "linear": lambda o: s.LinearLR(o, 0.2, 0.9, 6),
        "constant": lambda o: s.ConstantLR(o, 0.3, 4),
        "polynomial": lambda o: s.PolynomialLR(o, 6, 2.0),
        "restarts": lambda o: s.CosineAnnealingWarmRestarts(o, 2, 2, 0.01),
        "one cycle": lambda o: s.OneCycleLR(o, 0.5, 12),
        "one cycle linear": lambda o: s.OneCycleLR(
            o, [0.5, 0.3], 12, anneal_strategy="linear", three_phase=True, cycle_momentum=False
        ),
        "cyclic": lambda o: s.CyclicLR(o, 0.1, 0.4, 3),
        "cyclic 2": lambda o: s.CyclicLR(o, 0.1, 0.4, 2, 3, "triangular2"),
        "cyclic range": lambda o: s.CyclicLR(o, 0.1, 0.4, 2, mode="exp_range", gamma=0.9),
        "sequential": lambda o: s.SequentialLR(
            o, [s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9)], [4]
        ),
        "chained": lambda o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9)]),
    }


def _public(state):
    """A scheduler's state without functions."""
    return {k: v for k, v in state.items() if not callable(v) and k != "_schedulers"}


def case_schedulers(torch):
    found = {}
    for name, make in _schedulers(torch).items():
        a, b = _parameters(torch)
        optimizer = torch.optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.2}], lr=0.1,
                                    momentum=0.9)  # fmt: skip
        scheduler = make(optimizer)
        rows = []
        for _ in range(12):
            optimizer.step()
            group = optimizer.param_groups
            rows.append([group[0]["lr"], group[1]["lr"], group[0]["momentum"]])
            scheduler.step()
        found[name] = [rows, _public(scheduler.state_dict()), scheduler.get_last_lr()]
    return found


def case_scheduler_with_adam(torch):
    params = _parameters(torch)
    optimizer = torch.optim.AdamW(params, lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.3, 8)
    rows = []
    for i in range(8):
        _gradients(torch, params, i)
        optimizer.step()
        rows.append([optimizer.param_groups[0]["lr"], list(optimizer.param_groups[0]["betas"])])
        scheduler.step()
    return rows, [p.tolist() for p in params]


def case_plateau(torch):
    optimizer = torch.optim.SGD(_parameters(torch), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, patience=1, cooldown=1, factor=0.5, min_lr=0.02
    )
    rates = []
    for measure in (3, 2, 2, 2, 2.5, 1, 1, 1, 1, 1, 1, 1):
        scheduler.step(torch.tensor(float(measure)))
        rates.append(optimizer.param_groups[0]["lr"])
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", threshold_mode="abs")
    return rates, scheduler.state_dict(), other.mode, scheduler.get_last_lr()


def case_scheduler_resumed(torch):
    optimizer = torch.optim.SGD(_parameters(torch), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    saved = scheduler.state_dict()
    other = torch.optim.lr_scheduler.StepLR(optimizer, 7)
    other.load_state_dict(saved)
    rates = []
    for _ in range(4):
        other.step()
        rates.append(optimizer.param_groups[0]["lr"])
    later = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9, last_epoch=5)
    return rates, later.get_last_lr(), other.last_epoch
