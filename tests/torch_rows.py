"""Rows of the PyTorch face's tests: expressions that mean the same under PyTorch and under Gemel.

Each row is a text to evaluate with the names of `SETUP`. What PyTorch says of it is recorded by
`tools/record_oracles.py` in `recorded/torch_*.json`; the tests compare Gemel with that, and, where
PyTorch is installed, with PyTorch itself.
"""

from __future__ import annotations

import function_rows

SETUP = """
f = torch.tensor([[0.5, -1.25, 2.0], [3.0, -4.5, 0.0]])
g = torch.tensor([[1.0, 2.0, -3.0], [0.25, 5.0, -6.0]])
v = torch.tensor([1.0, -2.0, 3.0])
p = torch.tensor([0.2, 0.5, 0.9])
d = torch.tensor([1.5, 2.5, -3.5], dtype=torch.float64)
i = torch.tensor([[1, -2, 3], [4, 5, -6]])
j = torch.tensor([3, 2, 1])
i32 = torch.tensor([1, 2, 3], dtype=torch.int32)
i16 = torch.tensor([1, -2, 3], dtype=torch.int16)
i8 = torch.tensor([1, 2, 3], dtype=torch.int8)
u = torch.tensor([1, 2, 255], dtype=torch.uint8)
b = torch.tensor([[True, False, True], [False, True, True]])
c = torch.tensor([True, False, True])
s = torch.tensor(2.5)
n = torch.tensor(3)
z = torch.tensor(True)
e = torch.zeros(0, 3)
q = torch.arange(24.0).reshape(2, 3, 4)
sq = torch.arange(16.0).reshape(4, 4)
strided = q.permute(2, 0, 1)[1:, :, ::2] / 10 + 0.1
r = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
w = torch.tensor([[0.3, -0.7, 1.1], [2.0, 0.4, -1.6]], requires_grad=True)
"""

# names by the values they are defined on
UNARY = {
    "f": "exp exp2 expm1 sin cos tan sinh cosh tanh asinh sigmoid erf neg abs sign sgn floor ceil "
    "trunc frac square relu isnan isinf isfinite signbit isposinf isneginf deg2rad rad2deg round "
    "nan_to_num logical_not",
    "p": "asin acos atan log log2 log10 log1p sqrt rsqrt atanh logit reciprocal sinc",
    "strided": "exp log sqrt sigmoid tanh neg abs relu square floor",
    "d": "exp sin tanh sigmoid abs sign floor round erf",
    "i": "exp sin sigmoid sqrt neg abs sign floor ceil trunc round square relu isnan isfinite "
    "bitwise_not logical_not signbit reciprocal",
    "b": "exp sigmoid sign bitwise_not logical_not isnan isfinite",
}
ARITHMETIC = "add sub mul div maximum minimum remainder fmod floor_divide pow"
COMPARISONS = "eq ne lt le gt ge logical_and logical_or logical_xor"
FLOAT_PAIRS = "fmax fmin hypot logaddexp logaddexp2 copysign heaviside xlogy"
WHOLE_PAIRS = "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift"
OPERATORS = ("+", "-", "*", "/", "//", "%", "<", "==", ">=")

# operands of every element type and rank for promotion
TENSORS = ("v", "d", "j", "i32", "i16", "i8", "u", "c", "s", "n", "z")
NUMBERS = ("2", "2.5", "True")


def unary_rows() -> list[str]:
    rows = [f"torch.{op}({x})" for x, ops in UNARY.items() for op in ops.split()]
    return rows + ["torch.acosh(f.abs() + 1.5)", "torch.asinh(torch.tensor([0.0]))"]


def binary_rows() -> list[str]:
    rows = []
    for op in (*ARITHMETIC.split(), *COMPARISONS.split()):
        rows += [f"torch.{op}(f, g)", f"torch.{op}(f, v)", f"torch.{op}(i.abs(), j)"]
        rows += [f"torch.{op}(strided, strided + 1)"]
    rows += [f"torch.{op}(f, g)" for op in FLOAT_PAIRS.split()]
    rows += [f"torch.{op}(i.abs(), j)" for op in WHOLE_PAIRS.split()]
    return rows


def promotion_rows() -> list[str]:
    """Every pair of element types and ranks, through operators that treat types differently."""
    rows = []
    for a in TENSORS:
        for other in (*TENSORS, *NUMBERS):
            ops = OPERATORS if other in ("v", "j", "n", "2", "2.5") else ("+", "*", "/", "<")
            rows += [f"{a} {op} {other}" for op in ops]
    rows += [f"{x} {op} {a}" for a in TENSORS for x in NUMBERS for op in ("-", "/", "+")]
    return rows


POINTWISE = """
torch.clamp(f, -1, 1)
f.clamp(min=0)
f.clamp(max=0)
i.clamp(0.5)
i.clamp(-1, 3)
f.clamp(v, v + 1)
torch.clamp(f, 2, 1)
f ** 2
f ** 3
f.abs() ** 0.5
f ** -1
f ** 0
f ** 2.0
v ** -2
i ** 2
i ** 0
i ** 3.0
i ** 2.5
i ** torch.tensor([2, 0, 3])
torch.pow(2, j)
torch.pow(v, 2.5)
2 ** v
2.0 ** j
torch.add(f, g, alpha=2)
f.add(g, alpha=0.5)
torch.sub(i, j, alpha=3)
torch.rsub(f, 1)
torch.div(i, j, rounding_mode='trunc')
torch.div(i, j, rounding_mode='floor')
torch.div(f, v, rounding_mode='trunc')
torch.div(f, v, rounding_mode='floor')
torch.where(f > 0, f, g)
torch.where(f > 0, f, 0.0)
torch.where(f > 0, 1, f)
torch.where(b, i, f)
torch.where(f > 0, 1.0, 0.0)
torch.where(f > 0)
f.where(b, 0)
torch.lerp(v, v + 2, 0.25)
torch.lerp(v, v + 2, p)
torch.addcmul(f, f, g, value=2)
torch.addcdiv(f, g, g, value=0.5)
torch.round(f * 1.2345, decimals=2)
torch.nan_to_num(torch.tensor([float('nan'), float('inf'), -float('inf'), 1.0]))
torch.nan_to_num(torch.tensor([float('nan'), float('inf')]), nan=1.0, posinf=7.0)
torch.isclose(v, v + 1e-6)
torch.allclose(v, v + 1e-9)
torch.equal(v, v)
torch.equal(v, f)
5 // v
5 % v
i << 1
i & 3
i ^ 5
~b
b | c
b + b
b * b
torch.add(1, v)
v * np.float32(2)
np.float64(2) * v
v + np.ones(3)
torch.exp(v, out=torch.empty(3))
torch.result_type(v, j)
torch.promote_types(torch.int8, torch.uint8)
"""

REDUCTIONS = """
f.sum()
f.sum(0)
f.sum(1, keepdim=True)
f.sum((0, 1))
f.sum(-1)
f.sum(axis=0)
f.sum(dim=())
f.sum(dtype=torch.float64)
i.sum()
b.sum()
u.sum()
e.sum(0)
e.sum()
strided.sum((0, 2))
strided.mean(1)
f.mean()
f.mean((0, 1), keepdim=True)
i.mean(dtype=torch.float32)
e.mean()
f.prod()
f.prod(1)
i.prod()
q.prod(2)
f.var()
f.var(0)
f.std(1)
f.std(unbiased=False)
f.std(1, keepdim=True)
torch.var(f, 0, correction=0)
torch.var_mean(f, 1)
torch.std_mean(f)
q.std((1, 2))
f.max()
f.min(1)
f.max(1, keepdim=True)
i.max(0)
b.max()
torch.max(f, g)
torch.min(f, 1)
f.amax(1)
f.amin((0, 1))
torch.aminmax(f)
f.argmax()
f.argmax(1)
f.argmin(0, keepdim=True)
s.max()
s.max(0)
f.any()
f.all()
b.any(1)
b.all(0, keepdim=True)
u.any()
e.all()
e.any()
f.norm()
f.norm(1)
f.norm(float('inf'))
f.norm(2, 1)
f.norm(p=3)
f.norm(0)
torch.dist(f, g)
f.cumsum(0)
i.cumsum(1)
v.cumprod(0)
b.cumsum(0)
torch.cumsum(q, 2)
torch.sort(f)
f.sort(0)
f.sort(descending=True)
torch.tensor([2, 1, 2, 1]).sort(stable=True)
v.argsort()
torch.tensor([1.0, float('nan'), -1.0]).sort()
v.topk(2)
f.topk(2, dim=1, largest=False)
f.median()
f.median(1)
torch.tensor([1.0, float('nan'), 3.0]).median()
v.kthvalue(2)
torch.softmax(f, 1)
f.softmax(0)
torch.log_softmax(f, -1)
f.logsumexp(1)
torch.logsumexp(f, (0, 1))
f.count_nonzero(0)
torch.unique(torch.tensor([3, 1, 2, 3]))
torch.unique(torch.tensor([[3, 1], [2, 3]]), return_inverse=True, return_counts=True)
torch.bincount(torch.tensor([0, 1, 1, 4]))
torch.bincount(torch.tensor([0, 1, 1]), weights=v, minlength=4)
"""

PRODUCTS = """
f @ f.t()
f @ v
v @ v
q @ torch.ones(4, 2)
torch.ones(2, 3) @ q
q @ q.transpose(1, 2)
v @ torch.ones(3, 2)
torch.ones(5, 1, 2, 3) @ q
i @ i.t()
d @ d
torch.mm(f, g.T)
torch.bmm(q, q.mT)
torch.mv(f, v)
torch.dot(v, v)
torch.outer(v, p)
torch.inner(f, g)
torch.addmm(torch.ones(2), f, g.T, beta=2, alpha=0.5)
torch.addmv(torch.ones(2), f, v)
torch.baddbmm(torch.ones(3), q, q.mT)
torch.einsum('ij,kj->ik', f, g)
torch.einsum('ij->ji', f)
torch.einsum('ii->i', sq)
torch.einsum('ii', sq)
torch.einsum('bij,bjk->bik', q, q.mT)
torch.einsum('i,i', v, v)
torch.einsum('i,j->ij', v, p)
torch.einsum('ij->', f)
torch.einsum('...ij->...ji', q)
torch.einsum('ij,jk,kl->il', f, torch.ones(3, 2), torch.ones(2, 4))
torch.einsum('bn,anm,bm->ba', f, torch.ones(2, 3, 4), torch.ones(2, 4))
torch.tril(sq)
torch.triu(sq, 1)
sq.tril(-1)
q.triu()
torch.diag(v)
torch.diag(sq, 1)
torch.diag_embed(f)
torch.trace(sq)
torch.tensordot(f, g, dims=([1], [1]))
torch.tensordot(q, torch.ones(3, 4, 5), 2)
"""

JOINING = """
torch.cat([f, g])
torch.cat([f, g], 1)
torch.cat([f, i])
torch.cat([f, g], dim=-1)
torch.stack([v, p])
torch.stack([f, g], -1)
torch.hstack([v, p])
torch.vstack([v, p])
torch.column_stack([v, p])
v.repeat(2, 2)
f.tile(2)
v.repeat_interleave(2)
f.repeat_interleave(2, 0)
v.repeat_interleave(torch.tensor([1, 0, 2]))
f.flip(0, 1)
f.roll(1)
f.roll((1, -1), (0, 1))
torch.rot90(f)
torch.meshgrid(v, p, indexing='ij')
torch.meshgrid(v, p, indexing='xy')
torch.cartesian_prod(v, p)
"""

EMPTY = """
torch.ones(5, 0) @ torch.ones(0, 3)
torch.cat([torch.ones(0, 2), torch.ones(1, 2)])
torch.combinations(torch.ones(1))
torch.tensor([1.0])[torch.zeros(0, 2, dtype=torch.long)]
torch.zeros(0, 3).prod(0)
torch.zeros(5, 0, 2).softmax(1)
torch.zeros(0).sort()
torch.arange(0.0, -8.5, -4.0, dtype=torch.int64)
"""

STATISTICS = """
v.diff()
f.diff(dim=0)
f.cummax(1)
f.cummin(0)
f.logcumsumexp(1)
torch.kron(f, g[:1])
torch.cross(f, g, 1)
sq.matrix_power(3)
torch.block_diag(f, v)
torch.nansum(torch.tensor([1.0, float('nan')]))
torch.nanmean(torch.tensor([1.0, float('nan'), 3.0]))
f.quantile(0.3)
f.quantile(torch.tensor([0.1, 0.5]), dim=1)
torch.tensor([1, 2, 2, 3, 3]).mode()
v.histc(4, -3, 3)
f.cov()
f.corrcoef()
torch.cdist(f, g)
torch.isin(j, torch.tensor([1, 3]))
torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([0, 3, 6]))
torch.bucketize(v, torch.tensor([-1.0, 0.0, 2.0]))
torch.unique_consecutive(torch.tensor([1, 1, 2, 2, 1]), return_counts=True)
torch.combinations(v)
torch.linalg.norm(f)
torch.linalg.norm(f, 1)
torch.atan2(f, g)
torch.atan(torch.tensor([float('inf'), -float('inf'), float('nan'), 0.0]))
torch.acos(torch.tensor([1.0, -1.0, 0.0]))
"""

CREATION = """
torch.tensor([1, 2])
torch.tensor([1.0, 2])
torch.tensor([True, False])
torch.tensor([1, True])
torch.tensor([])
torch.tensor(3)
torch.tensor(np.arange(3.0))
torch.tensor([np.float64(1), 2])
torch.tensor([1.7, -2.3], dtype=torch.int64)
torch.tensor([1.5], dtype=float)
torch.zeros(2, 3)
torch.ones(2, dtype=torch.int64)
torch.full((2,), 7)
torch.full((2,), 7.0)
torch.full((2,), True)
torch.eye(2, 3)
torch.zeros_like(i)
torch.ones_like(f, dtype=torch.int32)
f.new_ones((2, 2))
i.new_full((2,), 3)
torch.arange(5)
torch.arange(2, 8, 2)
torch.arange(0.0, 1.0, 0.25)
torch.arange(5, 0, -1)
torch.arange(0, 2, 0.3)
torch.arange(0)
torch.linspace(0, 1, 5)
torch.linspace(-1, 1, 4)
torch.linspace(1, 5, 1)
torch.linspace(0, 1, 100)
torch.logspace(0, 2, 3)
torch.tril_indices(3, 3)
torch.from_numpy(np.arange(3))
torch.as_tensor([1, 2])
torch.Tensor([1, 2])
torch.LongTensor([1, 2])
f.long()
i.float()
f.bool()
f.double()
f.to(torch.int64)
f.to('cpu', torch.float64)
f.type()
f.type(torch.int32)
b.long()
f.tolist()
s.item()
float(s)
int(n)
len(f)
f.shape
f.size(-1)
f.dim()
f.numel()
f.device
f.stride()
1.0 in v
f'{s:.2f}'
'%d' % n
v == None
torch.finfo(torch.float32).eps
torch.iinfo(torch.int32).max
torch.get_default_dtype()
torch.Size([1, 2])
"""

VIEWS = """
f.view(3, 2)
f.view(-1)
f.reshape((1, 6))
f.t().reshape(6)
q.flatten(1)
q.flatten(0, 1)
s.flatten()
f.unflatten(1, (3, 1))
f[None].squeeze(0)
f.unsqueeze(-1)
f.T
q.mT
q.permute(2, 0, 1)
q.transpose(0, 2)
q.movedim(0, 2)
v.expand(2, 3)
f[:, :1].expand(-1, 4)
torch.broadcast_tensors(v, f)
f.narrow(1, 1, 2)
f.select(1, -1)
f.split(1)
q.split([1, 3], 2)
q.chunk(3, 1)
f.unbind(1)
q.tensor_split([1, 2], 2)
f.diagonal()
q.diagonal(0, 1, 2)
q.diagonal(1, 0, 2)
v.as_strided((2, 2), (1, 1))
v.unfold(0, 2, 1)
q.unfold(2, 2, 2)
f.t().stride()
f[:, 1:].storage_offset()
f.t().is_contiguous()
f[1:].is_contiguous()
q.permute(2, 0, 1).stride()
f[::2].stride()
"""

READING = """
f[0]
f[-1]
f[0, 1]
f[:, 1]
f[1:]
f[:, ::2]
f[..., 0]
f[None]
f[:, None, 1:]
q[0, 1:, ::2]
q[:, -1]
q[1, None, :, 2]
f[5:]
f[-5:1]
f[()]
s[...]
q[None, ..., None]
f[True]
f[False]
v[torch.tensor([0, 2])]
v[[0, 2]]
v[torch.tensor([-1, 0])]
f[torch.tensor([0, 1]), torch.tensor([2, 0])]
f[:, torch.tensor([0, 2])]
f[torch.tensor([[0, 1], [1, 0]])]
q[:, torch.tensor([0, 2]), 1]
q[torch.tensor([0, 1]), :, torch.tensor([1, 2])]
q[0, :, torch.tensor([1, 2])]
q[:, torch.tensor([0, 1]), torch.tensor([1, 2])]
f[[[0], [1]], [1, 2]]
v[np.array([0, 1])]
f[torch.tensor(1)]
f[torch.tensor([], dtype=torch.long)]
f[[]]
f[b]
v[c]
f[:, c]
f[f > 0]
f[f > 100]
q[q > 5]
q[torch.tensor([True, False]), :, 0]
q[:, torch.ones(3, 4) > 0]
v[[True, False, True]]
f.index_select(1, torch.tensor([2, 0]))
f.gather(1, torch.tensor([[0, 2], [1, 1]]))
torch.gather(f, 0, torch.tensor([[0, 1, 0]]))
torch.take_along_dim(f, f.argsort(1), 1)
torch.take(f, torch.tensor([0, 5]))
f.masked_fill(b, 9.0)
f.masked_select(b)
f.nonzero()
b.nonzero(as_tuple=True)
f.index_add(1, torch.tensor([0, 0]), torch.ones(2, 2))
f.index_copy(0, torch.tensor([1]), torch.ones(1, 3))
f.index_fill(1, torch.tensor([0, 2]), 5.0)
torch.zeros(2, 3).scatter(1, torch.tensor([[0, 1], [2, 0]]), f)
torch.zeros(3).scatter_add(0, torch.tensor([0, 0, 1]), v)
torch.zeros(2, 3).scatter_(1, torch.tensor([[0], [2]]), 1.0)
"""

# statements, then what to look at after the last semicolon
WRITING = """
f[0] = 9; f
f[0, 1] = 9.5; f
f[:, 1] = torch.tensor([7.0, 8.0]); f
f[:] = v; f
f[...] = 3; f
f[f > 0] = 0; f
f[f > 0] = torch.tensor([7.0, 8.0, 9.0]); f
v[torch.tensor([0, 2])] = torch.tensor([5.0, 6.0]); v
v[torch.tensor([0, 2])] = 5; v
f[torch.tensor([0, 1]), torch.tensor([2, 0])] = torch.tensor([8.0, 9.0]); f
f[:, [0, 2]] = torch.tensor([[1.0], [2.0]]); f
q[torch.tensor([0, 1]), :, torch.tensor([1, 2])] = -1; q
i[0] = 2.7; i
i[i > 2] = 0; i
f[0] += 1; f
f[0, 1] *= 2; f
f[torch.tensor([0])] += 1; f
v[torch.tensor([0, 0, 1])] += 1; v
f[c[:2]] = 0; f
f[:, c] = 5.0; f
f[0] = torch.tensor([[1.0, 2.0, 3.0]]); f
v.index_put_((torch.tensor([0, 0]),), torch.tensor([1.0, 2.0]), accumulate=True); v
x = f.clone(); x += 1; x -= v; x *= 2; x /= 4; (x, f)
i += 1; i *= 2; i -= j; i //= 2; i %= 3; i |= 1; i <<= 1; i
x = f[0]; x.zero_(); f
x = f.t(); x[0] = 5; f
x = f.view(-1); x[1:3] = 9; (f, x)
x = q.permute(2, 0, 1)[1]; x.mul_(10); q
x = f.diagonal(); x.zero_(); f
x = f.flatten(); x.zero_(); f
x = f.t().flatten(); x.zero_(); f
x = f.clone(); x.zero_(); f
x = f.detach(); x.zero_(); f
x = sq.unfold(0, 2, 2); x.zero_(); sq
x = v.as_strided((2,), (2,)); x.fill_(7); v
x, y = f.chunk(2); x.copy_(y); f
y = v * 2; v.zero_(); (y, v)
y = f[0]; z = y + 1; f.mul_(2); (y, z)
x = v.numpy(); v.add_(1); x[0] = 9; (v, x)
x = np.zeros(3, dtype=np.float32); t = torch.from_numpy(x); t += 1; x[0] = 5; (t, x)
f.add_(torch.tensor([[1.0], [2.0]])); f
v.copy_(j); v
i.copy_(f); i
f.masked_fill_(b, 0.0); f
v.lerp_(v + 1, 0.5); v
v.addcmul_(v, v, value=2); v
f.addmm_(torch.ones(2, 4), torch.ones(4, 3)); f
v.clamp_(0, 1); v
v.data.add_(1); (v, v._version)
v.add_(1); v[1:].mul_(2); v._version
"""

GRADIENTS = """
(w * w).sum()
(w / (w + 3)).sum()
w.exp().sum() + w.sigmoid().sum() + w.tanh().sum()
w.abs().sqrt().sum() + w.abs().log().sum()
w.max()
w.max(1).values.sum()
w.amax(1).sum()
w.clamp(-0.5, 1.0).sum()
torch.maximum(w, torch.zeros(2, 3)).sum()
w.norm()
w.norm(1)
w.norm(3)
w.prod()
w.var() + w.std(1).sum()
w.softmax(1)[:, 0].sum()
w.log_softmax(0)[1].sum()
w.logsumexp(1).sum()
(w @ w.t()).pow(2).sum()
(w @ v).sum()
torch.einsum('ij,kj->ik', w, w).sum()
w.cumsum(1).prod()
w.abs().cumprod(0).sum()
w.sort(1, descending=True).values[:, 0].sum()
w.topk(2, 1).values.sum()
w[0, 1] * w[1, 2]
w[:, ::2].pow(3).sum()
w[torch.tensor([0, 0, 1])].sum()
w[w > 0].sum()
w.gather(1, torch.tensor([[0, 0], [2, 1]])).sum()
torch.zeros(2, 2).index_add(1, torch.tensor([0, 1, 1]), w).pow(2).sum()
torch.where(w > 0.5, w * 2, w).sum()
torch.cat([w, w * 2]).pow(2).sum()
torch.stack([w, w.exp()]).sum()
w.permute(1, 0).reshape(6)[2:].pow(2).sum()
w.expand(4, 2, 3).sum()
w.repeat(2, 2).pow(2).sum()
w.flip(1).cumsum(1)[:, 1].sum()
w.unfold(1, 2, 1).pow(2).sum()
w.tril().sum()
w.diagonal().sum()
(w % 0.4).sum()
w.double().sum()
torch.lerp(w, w * 2, 0.3).sum()
torch.xlogy(w.abs(), w.abs()).sum()
torch.logaddexp(w, w * 2).sum()
w.asinh().sum() + w.sinh().sum() + w.cosh().sum()
w.atan().sum() + (w * 0.3).asin().sum() + (w * 0.3).acos().sum()
torch.atan2(w, w * 2 - 1).sum()
w.erf().sum() + w.expm1().sum() + (w.abs() + 1).log1p().sum()
w.pow(3).sum() + (w.abs() ** 1.5).sum() + (2 ** w).sum()
(w.mean(0) - w.median()).sum()
"""

ERRORS = """
torch.Tensor.__radd__(2, v)
torch.narrow_copy(f, 2, 0, 1)
torch.narrow_copy(f, -3, 0, 1)
torch.narrow_copy(v, 0, 0, -1)
torch.amax(f, 0, out=torch.empty(3, dtype=torch.int32))
torch.amin(torch.ones((1,) * 65), -1)
torch.take(v, n, out=torch.zeros(1).expand(3))
torch.cat([e, f], out=e)
torch.nn.functional.margin_ranking_loss(f, f, v)
torch.nn.functional.poisson_nll_loss(f, torch.ones(2))
torch.nn.functional.gaussian_nll_loss(f, f, f, reduction='abc')
torch.nn.functional.softshrink(v, -0.5)
torch.nn.functional.max_pool1d(f, 2, padding=4, return_indices=True)
torch.nn.functional.max_pool1d(f, 2, padding=4)
torch.nn.functional.max_pool1d(f[:, :0], 1)
torch.nn.functional.avg_pool2d(torch.ones(0, 1, 9), 2, padding=-1)
torch.nn.functional.max_pool3d(torch.ones(0, 1, 2, 4), 1)
torch.nn.functional.adaptive_max_pool2d(torch.ones(1, 2, 3, 4), ())
torch.nn.functional.conv1d(q, f)
torch.nn.functional.conv2d(torch.ones(1, 1, 4, 3), q)
v + f[:, :2]
f @ f
v @ torch.ones(4)
f @ torch.ones(2)
torch.ones(3, 2, 3) @ torch.ones(2, 3, 2)
q @ torch.ones(5, 2)
s @ v
i @ f
torch.mm(v, v)
torch.bmm(f, f)
torch.dot(f, v)
torch.einsum('ij,jk->ik', f, f)
torch.einsum('ij', v)
torch.einsum('ij->k', f)
f & g
~f
-b
b - b
b - 1
f << 1
j ** -1
i // torch.tensor([1, 0, 1])
i % 0
torch.clamp(f)
torch.where(f, f, f)
torch.allclose(v, j)
torch.div(f, v, rounding_mode='x')
e.max()
e.max(0)
e.argmax()
i.mean()
i.softmax(1)
f.sum(2)
f.sum((0, 0))
v.topk(4)
torch.cat([])
torch.cat([f, v])
torch.cat([f, q[0]])
torch.cat(f)
torch.cat([f, 1])
torch.stack([v, f])
torch.cat([s, s])
f.t().view(6)
f.view(4)
f.view(-1, -1)
f.view(4, -1)
v.expand(2)
f.expand(3)
v.expand(2, 4)
f.narrow(1, 2, 2)
f.select(0, 2)
v.split([1, 1])
v.split(0)
v.chunk(0)
q.permute(0, 1)
q.permute(0, 0, 1)
q.transpose(0, 3)
f.squeeze(2)
f.unsqueeze(4)
f[2]
f[0, 0, 0]
s[0]
f[::-1]
f['a']
f[1.0]
f[:, 3]
v[torch.tensor([3])]
v[torch.tensor([-4])]
v[torch.tensor([1.0])]
f[torch.tensor([0, 1]), torch.tensor([0, 1, 2])]
v[torch.tensor([True, False])]
f[0] = torch.tensor([1.0, 2.0]); f
v[[0, 1]] = torch.tensor([1.0, 2.0, 3.0]); v
v[5] = 1; v
f[0] = 'a'; f
f[f > 0] = torch.tensor([1.0, 2.0]); f
f.index_select(1, torch.tensor([3]))
f.gather(1, torch.tensor([[3]]))
f.gather(1, torch.tensor([0]))
f.gather(0, torch.tensor([[0, 0, 0, 0]]))
f.masked_fill(i, 0.0)
torch.zeros(2, 3).scatter_(1, torch.tensor([[5]]), 1.0)
i += 0.5; i
i /= 2; i
v += f; v
b += 1; b
f.copy_(torch.ones(4)); f
f.fill_(v); f
x = v.expand(2, 3); x.add_(1); x
torch.tensor([[1, 2], [3]])
torch.tensor('a')
torch.tensor([1, 'a'])
torch.tensor(None)
torch.tensor([1, 2], requires_grad=True)
torch.arange(0, 5, 0)
torch.arange(5, 0)
torch.linspace(0, 1, -1)
torch.zeros(-1)
torch.zeros('a')
torch.eye(-1)
torch.from_numpy([1, 2])
torch.from_numpy(np.array(['a']))
torch.randint(0, 0, (2,))
f.to('foo')
f.item()
int(f)
float(v)
bool(v)
bool(torch.zeros(0))
len(s)
iter(s)
[1, 2][s]
f.size(2)
v < None
v + 'a'
v + None
torch.exp(2.0)
torch.maximum(v, 1)
torch.this_is_no_name
v.this_is_no_name
torch.set_default_dtype(torch.int64)
torch.device('foo')
torch.finfo(torch.int32)
(r * 2).backward()
f.sum().backward()
y = (r * r).sum(); y.backward(); y.backward()
(r * 2).backward(torch.ones(2))
torch.autograd.grad(r.sum(), v)
torch.autograd.grad(r.sum(), w)
r.add_(1); r
r[0] = 1; r
r.view(3, 1).add_(1); r
y = r.exp(); y.add_(1); y.sum().backward()
y = r * 2; y.requires_grad_(False)
i.requires_grad_()
r.numpy()
v.register_hook(print)
"""


def lines(text: str) -> list[str]:
    return [row for row in text.strip().split("\n") if row]


OPS = [
    *unary_rows(),
    *binary_rows(),
    *promotion_rows(),
    *lines(POINTWISE + REDUCTIONS + PRODUCTS + JOINING + EMPTY + STATISTICS + CREATION),
]
INDEXING = [*lines(VIEWS + READING), *lines(WRITING)]
TABLES = {
    "ops": OPS,
    "indexing": INDEXING,
    "gradients": lines(GRADIENTS),
    "errors": lines(ERRORS),
    "functions": lines(function_rows.FUNCTIONS),
    "function_gradients": lines(function_rows.FUNCTION_GRADIENTS),
}
