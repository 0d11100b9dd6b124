"""Which kernel of a training step is slow, and why: `gemel.explain` on a small network.

Run it with Gemel's own Python (`python examples/slow_kernel.py`), not through `gemel run`: it asks
Gemel, so it names it. docs/performance.md goes through what it prints.
"""

import gemel
import gemel.torch as torch
from gemel.torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.out = nn.Linear(16 * 16 * 16, 10)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        x = nn.functional.max_pool2d(x, 2)
        return self.out(torch.flatten(x, 1))


torch.manual_seed(0)
model = Net()
optimizer = torch.optim.Adam(model.parameters())
images, labels = torch.randn(32, 3, 32, 32), torch.randint(0, 10, (32,))


def step():
    loss = nn.functional.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


told = gemel.explain(step)
print(told)
slowest = max(told.kernels, key=lambda kernel: kernel.seconds)
where = "{}:{}".format(*slowest.line)
print(f"\nmost time: k{slowest.number}, {slowest.does}, from {where}")
print(f"how it runs: {slowest.plan}")
print(f"its code: GEMEL_SHOW=asm:k{slowest.number} python {__file__}")
