"""The network that the step benchmarks train: 64-64-10, batch 32, Adam.

Role: one program text for PyTorch and for Gemel's PyTorch face. Input: the module that plays
`torch`. Output: the parts of a training loop.
"""

from typing import Any

import numpy as np

BATCH = 32
BATCHES = 64


def data() -> tuple[np.ndarray, np.ndarray]:
    """Images [batches, 32, 64] float32 and labels [batches, 32] int64, the same each time."""
    random = np.random.RandomState(0)
    images = random.rand(BATCHES, BATCH, 64).astype(np.float32)
    return images, random.randint(0, 10, (BATCHES, BATCH)).astype(np.int64)


def parts(torch: Any) -> tuple[Any, Any, Any, list[tuple[Any, Any]]]:
    """(model, criterion, optimizer, batches) under the given `torch`."""
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Linear(64, 64)
            self.fc2 = nn.Linear(64, 10)

        def forward(self, x):
            return self.fc2(torch.relu(self.fc1(x)))

    torch.manual_seed(0)
    model = Net()
    images, labels = data()
    batches = [
        (torch.from_numpy(x), torch.from_numpy(y)) for x, y in zip(images, labels, strict=True)
    ]
    return model, nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters()), batches
