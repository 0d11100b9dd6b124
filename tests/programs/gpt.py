"""A small GPT on characters: causal attention, AdamW with two groups, a schedule, samples."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT = """
It was the weaver's habit to count the threads aloud, and on winter evenings the whole street could
hear the numbers go up and down the scale. Nobody minded. The baker set his clock by the hundreds,
the children learned to add from the tens, and when she stopped, as she did for a moment between one
colour and the next, everybody looked up. Blue was for the river, she said, red for the roofs, and
green, which was dear, for the one hill that the town could see. What she wove that year was longer
than the street. They carried it to the market rolled on a mast, and it took two boys to turn it.
"""

torch.manual_seed(1337)
chars = sorted(set(TEXT))
index = {c: i for i, c in enumerate(chars)}
data = torch.tensor([index[c] for c in TEXT], dtype=torch.long)
split = int(0.9 * len(data))
parts = {"train": data[:split], "val": data[split:]}

batch_size, block_size, width, heads, depth = 16, 32, 64, 4, 3
steps, peak, least = 120, 3e-3, 3e-4


def get_batch(part):
    source = parts[part]
    starts = torch.randint(len(source) - block_size - 1, (batch_size,))
    x = torch.stack([source[i : i + block_size] for i in starts])
    y = torch.stack([source[i + 1 : i + 1 + block_size] for i in starts])
    return x, y


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(x).split(width, dim=2)
        q, k, v = (m.view(b, t, heads, c // heads).transpose(1, 2) for m in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.dropout(self.proj(y.transpose(1, 2).contiguous().view(b, t, c)))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.attention = SelfAttention()
        self.ln2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1)
        )

    def forward(self, x):
        x = x + self.attention(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(len(chars), width)
        self.places = nn.Embedding(block_size, width)
        self.blocks = nn.ModuleList([Block() for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(chars), bias=False)
        self.tokens.weight = self.head.weight
        self.apply(self.init)

    def init(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, idx, targets=None):
        place = torch.arange(idx.size(1))
        x = self.tokens(idx) + self.places(place)
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))

    @torch.no_grad()
    def generate(self, idx, count):
        for _ in range(count):
            logits, _ = self(idx[:, -block_size:])
            logits = logits[:, -1, :] / 0.8
            kept, _ = torch.topk(logits, 10)
            logits[logits < kept[:, [-1]]] = -float("inf")
            idx = torch.cat([idx, torch.multinomial(F.softmax(logits, -1), 1)], dim=1)
        return idx


def rate(step):
    if step < 10:
        return peak * (step + 1) / 10
    return least + 0.5 * (peak - least) * (1 + math.cos(math.pi * (step - 10) / (steps - 10)))


@torch.no_grad()
def estimate(model):
    model.eval()
    found = {}
    for part in parts:
        found[part] = torch.stack([model(*get_batch(part))[1] for _ in range(4)]).mean()
    model.train()
    return found


model = GPT()
print(sum(p.numel() for p in model.parameters()), "parameters")
decay = [p for p in model.parameters() if p.dim() >= 2]
plain = [p for p in model.parameters() if p.dim() < 2]
optimizer = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}],
    lr=peak, betas=(0.9, 0.95),
)  # fmt: skip
for step in range(steps):
    for group in optimizer.param_groups:
        group["lr"] = rate(step)
    if step % 40 == 0:
        found = estimate(model)
        print(f"step {step}: train {found['train']:.4f} val {found['val']:.4f}")
    x, y = get_batch("train")
    _, loss = model(x, y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 10 == 9:
        print(f"step {step + 1}: norm {norm:.3f} loss {loss.item():.5f}")
model.eval()
start = torch.zeros((1, 1), dtype=torch.long)
print("".join(chars[i] for i in model.generate(start, 40)[0].tolist()).strip())
