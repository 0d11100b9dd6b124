"""Optimizers that a user wrote: Lion as a subclass of Optimizer, and plain momentum by hand."""

import torch
import torch.nn as nn
from torch.optim import Optimizer

torch.manual_seed(21)


class Lion(Optimizer):
    """Chen and others 2023: the sign of an interpolated momentum, with decoupled decay."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        if lr <= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.data.mul_(1 - group["lr"] * group["weight_decay"])
                grad, state = p.grad, self.state[p]
                if len(state) == 0:
                    state["exp_avg"] = torch.zeros_like(p)
                average = state["exp_avg"]
                beta1, beta2 = group["betas"]
                update = average * beta1 + grad * (1 - beta1)
                p.add_(update.sign_(), alpha=-group["lr"])
                average.mul_(beta2).add_(grad, alpha=1 - beta2)
        return loss


def network():
    return nn.Sequential(
        nn.Linear(10, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 1)
    )


x = torch.rand(512, 10) * 2 - 1
y = (torch.sin(3 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]) + 0.01 * torch.randn(512, 1)
mse = nn.MSELoss()

model = network()
optimizer = Lion(model.parameters(), lr=2e-3, weight_decay=1e-2)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.95**epoch)
for epoch in range(1, 16):
    order = torch.randperm(512)
    total = 0.0
    for rows in order.split(32):

        def closure():
            optimizer.zero_grad()
            loss = mse(model(x[rows]), y[rows])
            loss.backward()
            return loss

        total += optimizer.step(closure).item()
    scheduler.step()
    if epoch % 5 == 0:
        print(f"Lion epoch {epoch} loss {total / 16:.5f}")

model = network()
speed = [torch.zeros_like(p) for p in model.parameters()]
for step in range(1, 301):
    loss = mse(model(x), y)
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for p, v in zip(model.parameters(), speed):
            v.mul_(0.9).add_(p.grad)
            p -= 0.05 * v
    if step % 100 == 0:
        print(f"momentum step {step} loss {loss.item():.5f}")
