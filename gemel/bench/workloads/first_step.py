"""A script: seconds of the first training step of a network, in a process that has done nothing.

Runs under PyTorch and under `gemel run`. Input: the network's name. Output: the seconds from the
step's beginning to its loss, the import and the building of the network left out; those of the
quickest of a few later steps; the first loss.
"""

import sys
import time

import torch
from torch import nn

from gemel.bench.workloads.networks_torch import Mlp, ResNet18, start
from gemel.bench.workloads.workload import numbers

NETWORKS = {
    "mlp": (lambda: Mlp((64, 64, 10)), (32, 64)),
    "resnet": (lambda: ResNet18(10, small=True), (32, 3, 32, 32)),
}


LATER = 3


def main() -> None:
    """Print the figures."""
    make, shape = NETWORKS[sys.argv[1]]
    model = start(make())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    x = torch.from_numpy(numbers("images", shape))
    y = torch.arange(shape[0]) % 10

    def step() -> tuple[float, float]:
        started = time.perf_counter()
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        value = loss.item()
        return time.perf_counter() - started, value

    first, value = step()
    print(first, min(step()[0] for _ in range(LATER)), value)


main()
