"""Functions with gradients of their own: quantised weights, a fused loss, a reversed gradient."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function

torch.manual_seed(8)


class Quantise(Function):
    """Rounds to so many levels; the gradient passes where the value was inside."""

    @staticmethod
    def forward(ctx, x, levels):
        scale = x.abs().max().clamp(min=1e-8)
        ctx.save_for_backward(x, scale)
        return torch.round(x / scale * levels) / levels * scale

    @staticmethod
    def backward(ctx, grad):
        x, scale = ctx.saved_tensors
        return grad * (x.abs() <= scale).to(grad.dtype), None


class SoftTargets(Function):
    """Cross entropy against soft targets, whose gradient is probabilities minus targets."""

    @staticmethod
    def forward(ctx, logits, targets):
        logp = F.log_softmax(logits, dim=1)
        ctx.save_for_backward(logp, targets)
        return -(targets * logp).sum(dim=1).mean()

    @staticmethod
    def backward(ctx, grad):
        logp, targets = ctx.saved_tensors
        return grad * (logp.exp() - targets) / logp.size(0), None


class Reverse(Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return grad.neg() * ctx.strength, None


class QLinear(nn.Linear):
    def forward(self, x):
        return F.linear(x, Quantise.apply(self.weight, 7), self.bias)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(QLinear(12, 32), nn.ReLU(), QLinear(32, 32), nn.ReLU())
        self.kind, self.domain = nn.Linear(32, 4), nn.Linear(32, 2)

    def forward(self, x, strength):
        h = self.body(x)
        return self.kind(h), self.domain(Reverse.apply(h, strength))


count = 512
kind = torch.randint(0, 4, (count,))
domain = torch.randint(0, 2, (count,))
x = torch.randn(count, 12)
x[:, :4] += 2 * F.one_hot(kind, 4)
x[:, 4] += domain
soft = 0.9 * F.one_hot(kind, 4).float() + 0.1 / 4

double = torch.randn(5, 4, dtype=torch.double, requires_grad=True)
aims = torch.softmax(torch.randn(5, 4, dtype=torch.double), 1)
print("gradcheck", torch.autograd.gradcheck(lambda z: SoftTargets.apply(z, aims), (double,)))

model = Net()
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
for epoch in range(1, 13):
    total = 0.0
    for at in range(0, count, 64):
        rows = slice(at, at + 64)
        logits, where = model(x[rows], epoch / 12)
        loss = SoftTargets.apply(logits, soft[rows]) + 0.1 * F.cross_entropy(where, domain[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item()
    if epoch % 3 == 0:
        with torch.no_grad():
            right = (model(x, 0.0)[0].argmax(1) == kind).float().mean().item()
        print(f"epoch {epoch} accuracy {right:.3f} loss {total / 8:.5f}")
