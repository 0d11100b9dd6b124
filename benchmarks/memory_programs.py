"""What a training program takes of memory. Runs under PyTorch and under `gemel run`.

    python memory_programs.py resnet|gpt|lstm|deep|deep-checkpointed [--steps 4]

Prints one line of JSON: resident bytes beyond those of a process that has trained a tiny network,
at most over the first step (`first`) and over the later ones (`later`), and, under Gemel, what the
allocator gave out at most in a step (`given`), and what `gemel.explain` says: of a step's tensors
(`known`), and of the process beyond what it held before (`said`), with its parts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from gemel.bench.workloads.networks_torch import ResNet18


class Layer(nn.Module):
    """One block of a GPT (Radford et al. 2019)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        shape = (batch, length, self.heads, width // self.heads)
        q, k, v = (t.view(shape).transpose(1, 2) for t in self.qkv(self.norm1(x)).split(width, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, width))
        return x + self.narrow(F.gelu(self.wide(self.norm2(x))))


class Gpt(nn.Module):
    """4 layers, width 256, 8 heads, 128 characters of 65."""

    def __init__(self, layers: int = 4, width: int = 256, heads: int = 8):
        super().__init__()
        self.tokens, self.places = nn.Embedding(65, width), nn.Embedding(128, width)
        self.layers = nn.ModuleList([Layer(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 65)

    def forward(self, ids):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)).flatten(0, 1)


class Lstm(nn.Module):
    """Two layers of 256, 1000 words."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(1000, 256)
        self.cells = nn.LSTM(256, 256, 2, batch_first=True)
        self.head = nn.Linear(256, 1000)

    def forward(self, ids):
        return self.head(self.cells(self.words(ids))[0]).flatten(0, 1)


class Deep(nn.Module):
    """Blocks of a transformer's middle, 24 of them, each a checkpoint or not."""

    def __init__(self, checkpointed: bool):
        super().__init__()
        self.checkpointed = checkpointed
        self.layers = nn.ModuleList(
            [
                nn.Sequential(
                    nn.LayerNorm(128), nn.Linear(128, 512), nn.GELU(), nn.Linear(512, 128)
                )
                for _ in range(24)
            ]
        )
        self.head = nn.Linear(128, 10)

    def forward(self, x):
        for layer in self.layers:
            if self.checkpointed:
                x = x + checkpoint(layer, x, use_reentrant=False)
            else:
                x = x + layer(x)
        return self.head(x)


def words(rows: int, length: int, many: int):
    """(ids, the next ones)"""
    ids = torch.randint(many, (rows, length + 1))
    return ids[:, :-1].contiguous(), ids[:, 1:].flatten().contiguous()


def program(name: str):
    """(model, optimizer, inputs, labels)"""
    torch.manual_seed(0)
    if name == "resnet":
        model = ResNet18(10, small=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        return model, optimizer, torch.randn(32, 3, 32, 32), torch.randint(10, (32,))
    if name == "gpt":
        model = Gpt()
        return model, torch.optim.AdamW(model.parameters(), lr=3e-4), *words(16, 128, 65)
    if name == "lstm":
        model = Lstm()
        return model, torch.optim.Adam(model.parameters()), *words(32, 64, 1000)
    model = Deep(name == "deep-checkpointed")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return model, optimizer, torch.randn(2048, 128), torch.randint(10, (2048,))


def stepper(model, optimizer, x, y) -> Callable[[], float]:
    """A training step; gives the loss."""

    def step() -> float:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def resident(what: str = "VmRSS") -> int:
    """Bytes of this process that lie in memory, now or (VmHWM) at most so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(what)


def forget_peak() -> None:
    """VmHWM begins at the present."""
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tiny = nn.Linear(4, 4)
    stepper(tiny, torch.optim.Adam(tiny.parameters()), torch.randn(4, 4), torch.arange(4))()
    base = resident()
    forget_peak()
    step = stepper(*program(options.program))
    losses = [step(), step()]
    first = resident("VmHWM") - base
    forget_peak()
    losses += [step() for _ in range(options.steps)]
    later = resident("VmHWM") - base
    record = {"losses": losses, "base": base, "first": first, "later": later}
    print(json.dumps(record | known(step, base)))


def known(step: Callable[[], float], base: int) -> dict:
    """Under Gemel, what the allocator gave out, and what is said of a step and of the process."""
    if not torch.__name__.startswith("gemel"):
        return {}
    import gemel
    from gemel.runtime import buffer

    told = gemel.explain(step, calls=0)
    parts = told.to_dict()["resident"]
    buffer.release_pool()
    buffer.most_given_bytes(forget=True)
    step()
    record = {"given": buffer.most_given_bytes(), "known": told.peak, "parts": parts}
    return record | {"said": told.resident.total - base}


if __name__ == "__main__":
    main()
