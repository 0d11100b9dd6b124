"""Rows of a language model: a small GPT's training, inference and generation; attention alone."""

from __future__ import annotations

import numpy as np

from .workload import Workload, program

LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY = 4, 256, 8, 128, 65
BATCH = 16
SHORTEST = 40
GENERATED = 200
LENGTHS = (512, 2048, 8192)
PYTORCH = ("PyTorch",)


def table() -> list[Workload]:
    """The rows of the project's goals."""
    return [_training(), _texts(), _inference(), *_generation(), *(_attention(n) for n in LENGTHS)]


def sweep() -> list[Workload]:
    """Lengths in between."""
    return [_attention(n, "sweep") for n in (64, 128, 256, 1024, 4096)]


def _tokens(count: int, batch: int, length: int) -> np.ndarray:
    random = np.random.RandomState(0)
    return random.randint(0, VOCABULARY, (count, batch, length)).astype(np.int64)


def _training() -> Workload:
    tokens = _tokens(4, BATCH, CONTEXT + 1)
    return Workload(
        "gpt training",
        "training",
        {
            "torch": program("gpt_torch", "train", tokens),
            "torch compiled": program("gpt_torch", "train", tokens, compiled=True),
            "keras": program("gpt_keras", "train", tokens),
        },
        f"{LAYERS} layers, width {WIDTH}, {HEADS} heads, context {CONTEXT}, batch {BATCH}, AdamW",
        3 * _flops(BATCH, CONTEXT),
        goal=0.8,
        tolerance=1e-3,
        alike=False,
    )


def _texts() -> Workload:
    """Training on texts as they come: each batch has another length."""
    lengths = np.random.RandomState(1).permutation(np.arange(SHORTEST, CONTEXT, 6))
    tokens = [_tokens(1, BATCH, length + 1)[0] for length in lengths]
    return Workload(
        "gpt training, texts of all lengths",
        "training",
        {"torch": program("gpt_torch", "train", tokens)},
        f"the same, {len(lengths)} lengths from {SHORTEST} to {CONTEXT - 1}",
        3 * sum(_flops(BATCH, int(length)) for length in lengths) / len(lengths),
        goal=0.8,
        rivals=PYTORCH,
        tolerance=1e-3,
    )


def _inference() -> Workload:
    tokens = _tokens(1, 1, CONTEXT)[0]
    return Workload(
        "gpt inference",
        "inference",
        {
            "torch": program("gpt_torch", "infer", tokens),
            "torch compiled": program("gpt_torch", "infer", tokens, compiled=True),
        },
        f"batch 1, {CONTEXT} tokens",
        _flops(1, CONTEXT),
        goal=0.6,
        rivals=PYTORCH,
    )


def _generation() -> list[Workload]:
    """The cache written in place, and put together anew for each token."""
    return [
        Workload(
            f"gpt generation{how}",
            "inference",
            {"torch": program("gpt_torch", "generating", GENERATED, growing)},
            f"{GENERATED} tokens one by one, {about}",
            goal=0.3 if not growing else None,
            rivals=PYTORCH,
        )
        for how, growing, about in (
            ("", False, "keys and values written into memory of their final size"),
            (", cache by cat", True, "keys and values joined by torch.cat"),
        )
    ]


def _attention(length: int, group: str = "rows") -> Workload:
    heads, width = 8, 64
    name = f"attention {heads}x{length}x{width}"
    pairs = length * (length + 1) // 2
    return Workload(
        name if group == "rows" else f"sweep {name}",
        group,
        {"torch": program("gpt_torch", "attention", heads, length, width)},
        "causal, forward and backward",
        # two products forward, five backward
        7 * 2.0 * heads * width * pairs,
        goal=0.7,
        rivals=PYTORCH,
    )


def _flops(batch: int, length: int) -> float:
    """Of a forward pass: products with weights, and causal attention."""
    places = batch * length
    weights = LAYERS * 12 * WIDTH * WIDTH + WIDTH * VOCABULARY
    pairs = batch * length * (length + 1) // 2
    return 2.0 * places * weights + LAYERS * 4.0 * pairs * WIDTH
