"""A small GPT as a user of PyTorch writes it. Runs under PyTorch and under `gemel run`.

Radford et al. 2019: normalisation before attention and before the two dense layers, positions
learned, GELU. One model trains, infers, and generates with a cache of keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .networks_torch import CHECKED, start
from .workload import Job, numbers

LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY = 4, 256, 8, 128, 65


class Attention(nn.Module):
    """Causal self-attention of several heads."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def split(self, x):
        """Queries, keys and values [batch, heads, length, width / heads]."""
        batch, length, width = x.shape
        parts = self.qkv(x).split(width, dim=2)
        return [p.view(batch, length, self.heads, -1).transpose(1, 2) for p in parts]

    def join(self, y):
        batch, heads, length, width = y.shape
        return self.out(y.transpose(1, 2).contiguous().view(batch, length, heads * width))

    def forward(self, x, cache=None):
        q, k, v = self.split(x)
        if cache is None:
            return self.join(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        k, v, mask = cache.extend(k, v)
        return self.join(F.scaled_dot_product_attention(q, k, v, attn_mask=mask))


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.dense1 = nn.Linear(width, 4 * width)
        self.dense2 = nn.Linear(4 * width, width)

    def forward(self, x, cache=None):
        x = x + self.attention(self.norm1(x), cache)
        return x + self.dense2(F.gelu(self.dense1(self.norm2(x))))


class Gpt(nn.Module):
    def __init__(self, layers=LAYERS, width=WIDTH, heads=HEADS, context=CONTEXT):
        super().__init__()
        self.context = context
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, tokens, positions=None, caches=None):
        if positions is None:
            positions = torch.arange(tokens.shape[1])
        x = self.tokens(tokens) + self.positions(positions)
        for i, block in enumerate(self.blocks):
            x = block(x, caches[i] if caches else None)
        return self.head(self.norm(x))


class Preallocated:
    """Keys and values of one layer, in memory of the final size; a mask hides the rest of it."""

    def __init__(self, batch: int, heads: int, length: int, width: int):
        self.keys = torch.zeros(batch, heads, length, width)
        self.values = torch.zeros(batch, heads, length, width)
        self.places = torch.arange(length)

    def at(self, position) -> None:
        """The place of the next token: a tensor of one number."""
        self.position = position
        self.mask = (self.places <= position).view(1, 1, 1, -1)

    def extend(self, k, v):
        self.keys.index_copy_(2, self.position, k)
        self.values.index_copy_(2, self.position, v)
        return self.keys, self.values, self.mask


class Growing:
    """Keys and values of one layer, put together anew with each token."""

    def __init__(self):
        self.keys = self.values = None

    def at(self, position) -> None:
        pass

    def extend(self, k, v):
        if self.keys is not None:
            k, v = torch.cat([self.keys, k], 2), torch.cat([self.values, v], 2)
        self.keys, self.values = k, v
        return k, v, None


def generate(model: nn.Module, caches: list, count: int) -> list[int]:
    """The most likely token after each token, from token 0 on."""
    token = torch.zeros(1, 1, dtype=torch.long)
    found = []
    with torch.no_grad():
        for i in range(count):
            position = torch.tensor([i])
            for cache in caches:
                cache.at(position)
            logits = model(token, position, caches)
            token = logits[:, -1].argmax(-1, keepdim=True)
            found.append(token.item())
    return found


def train(tokens: Sequence[np.ndarray], compiled: bool = False) -> Job:
    """AdamW; tokens: batches (batch, length + 1), all of one length or each of its own."""
    model = start(Gpt())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    data = [(torch.from_numpy(t[:, :-1].copy()), torch.from_numpy(t[:, 1:].copy())) for t in tokens]

    def step(x, y):
        logits = model(x)
        loss = F.cross_entropy(logits.view(-1, VOCABULARY), y.view(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    if compiled:
        step = torch.compile(step)

    def run(steps: int) -> None:
        for i in range(steps):
            loss = step(*data[i % len(data)])
        loss.item()

    def results() -> list[np.ndarray]:
        return [np.array([step(x, y).item() for x, y in (data * CHECKED)[:CHECKED]])]

    return Job(run, results, len({t.shape for t in tokens}))


def infer(tokens: np.ndarray, compiled: bool = False) -> Job:
    """Logits of one text; tokens (1, context)."""
    model = start(Gpt()).eval()
    x = torch.from_numpy(tokens)
    apply = torch.compile(model) if compiled else model

    def run(steps: int) -> None:
        with torch.no_grad():
            for _ in range(steps):
                apply(x).data_ptr()

    def results() -> list[np.ndarray]:
        with torch.no_grad():
            return [apply(x).numpy()]

    return Job(run, results)


def generating(count: int, growing: bool = False) -> Job:
    """`count` tokens one after the other, with a cache that is written in place, or that grows."""
    model = start(Gpt(context=count)).eval()

    def caches() -> list:
        if growing:
            return [Growing() for _ in range(LAYERS)]
        return [Preallocated(1, HEADS, count, WIDTH // HEADS) for _ in range(LAYERS)]

    def run(steps: int) -> None:
        for _ in range(steps):
            generate(model, caches(), count)

    def results() -> list[np.ndarray]:
        return [np.array(generate(model, caches(), count), np.float64)]

    return Job(run, results)


def attention(heads: int, length: int, width: int, compiled: bool = False) -> Job:
    """Causal attention alone, forward and backward, batch 1."""
    shape = (1, heads, length, width)
    sides = [torch.from_numpy(numbers(n, shape)).requires_grad_() for n in "qkv"]
    weight = torch.from_numpy(numbers("gradient", shape))

    def step():
        for x in sides:
            x.grad = None
        y = F.scaled_dot_product_attention(*sides, is_causal=True)
        y.backward(weight)
        return y, *(x.grad for x in sides)

    if compiled:
        step = torch.compile(step)

    def run(steps: int) -> None:
        for _ in range(steps):
            step()[1].data_ptr()

    def results() -> list[np.ndarray]:
        return [x.detach().numpy() for x in step()]

    return Job(run, results)
