"""Texts made token by token with a cache of keys and values: what is compiled, and what runs."""

from __future__ import annotations

import sys

import pytest

import gemel.torch as torch
from gemel.passes.compile import default_device
from gemel.passes.pipeline import compiled_count
from gemel.tensor import recorder
from gemel.tensor.quick import Quick
from gemel.tensor.tape import SEVERAL
from gemel.torch import nn
from gemel.torch.nn import functional as F

HEADS, WIDTH, LENGTH, WORDS = 2, 16, 40, 11
native = pytest.mark.skipif(default_device() != "cpu", reason="other devices compile nothing")


@pytest.fixture
def prepared():
    """As in a process of one thread that has run some programs."""
    before = SEVERAL[:]
    SEVERAL.clear()
    if not recorder.RECORD:
        recorder._asked.clear()
        recorder.prepare()
    yield
    SEVERAL[:] = before + SEVERAL


class Layer(nn.Module):
    """Attention and two dense layers."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.dense = nn.Linear(WIDTH, WIDTH)

    def forward(self, x, cache):
        parts = self.qkv(self.norm(x)).split(WIDTH, dim=2)
        q, k, v = (p.view(1, x.shape[1], HEADS, -1).transpose(1, 2) for p in parts)
        k, v, mask = cache(k, v)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return x + F.gelu(self.dense(y.transpose(1, 2).reshape(1, x.shape[1], WIDTH)))


class Joined:
    """Keys and values put together anew with each token."""

    def __init__(self):
        self.pair = None
        self.at = 0

    def __call__(self, k, v):
        if self.pair is not None:
            k, v = torch.cat([self.pair[0], k], 2), torch.cat([self.pair[1], v], 2)
        self.pair = k, v
        return k, v, None


class Written:
    """Keys and values written into memory of their final size: by position, or as a slice."""

    def __init__(self, by_slice: bool):
        self.pair = [torch.zeros(1, HEADS, LENGTH, WIDTH // HEADS) for _ in range(2)]
        self.by_slice = by_slice
        self.at = 0

    def __call__(self, k, v):
        for memory, new in zip(self.pair, (k, v), strict=True):
            if self.by_slice:
                memory[:, :, self.at : self.at + 1] = new
            else:
                memory.index_copy_(2, torch.tensor([self.at]), new)
        mask = torch.arange(LENGTH) <= torch.tensor([self.at])
        return *self.pair, mask.view(1, 1, 1, -1)


CACHES = {
    "joined": Joined,
    "by position": lambda: Written(False),
    "by slice": lambda: Written(True),
}


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList([Layer() for _ in range(2)])
        self.head = nn.Linear(WIDTH, WORDS)
        for parameter in self.parameters():
            parameter.tolist()

    @torch.no_grad()
    def generate(self, kind, count: int) -> list[int]:
        caches = [kind() for _ in self.layers]
        found = [1]
        for i in range(count):
            x = self.words(torch.tensor([found[-1:]]))
            for layer, cache in zip(self.layers, caches, strict=True):
                cache.at = i
                x = layer(x, cache)
            found.append(self.head(x)[:, -1].argmax(-1).item() if i else 3)
        return found


@pytest.mark.parametrize("name", CACHES)
def test_all_caches_give_the_same_text(name):
    model = Model()
    text = model.generate(CACHES[name], 12)
    assert text == model.generate(CACHES["joined"], 12)
    assert len(set(text)) > 2


@native
@pytest.mark.parametrize("name", CACHES)
def test_more_tokens_compile_nothing_more(name):
    model = Model()
    for _ in range(2):
        model.generate(CACHES[name], 8)
    before = compiled_count[0]
    model.generate(CACHES[name], LENGTH)
    assert compiled_count[0] == before


@native
@pytest.mark.parametrize("name", CACHES)
def test_turns_run_the_quick_way_and_are_recorded_by_built_in_functions(
    name, prepared, monkeypatch
):
    model = Model()
    for _ in range(4):
        model.generate(CACHES[name], 10)
    runs, recorded = [], []
    usual = Quick.run
    monkeypatch.setattr(Quick, "run", lambda self, tape: runs.append(usual(self, tape)) or runs[-1])
    for module in ("record", "write"):
        lists = sys.modules[f"gemel.tensor.{module}"]
        for name_of in ("RECORD", "WRITTEN"):
            if hasattr(lists, name_of):
                monkeypatch.setattr(lists, name_of, [_noted(getattr(lists, name_of)[0], recorded)])
    model.generate(CACHES[name], 10)
    assert runs.count(True) >= 8  # the second turn copies memory that the first one keeps
    assert recorded.count(False) <= len(recorded) // 20


def _noted(function, found):
    def noted(*arguments):
        made = function(*arguments)
        found.append(made is not None)
        return made

    return noted
