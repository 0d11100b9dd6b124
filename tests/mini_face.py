"""A small face in PyTorch's manner, for tests of the tensor layer alone."""

from __future__ import annotations

from operator import is_

import numpy as np

import gemel.tensor as core
from gemel.graph.form import bool_, dtype_of, float32, int64
from gemel.ops import elementwise as el
from gemel.ops import indexing, losses, updates
from gemel.ops.activations import log_softmax, relu, softmax
from gemel.ops.linear import linear as linear_nodes
from gemel.ops.movement import expand, iota, reshape
from gemel.ops.record import Call
from gemel.ops.reduction import argmax, sum_

RANK = {"b": 0, "u": 1, "i": 1, "f": 2}


def promote(x, y):
    """Both nodes in one element type; a run-time number takes a tensor's type of its kind."""

    def weak(n):
        return n.op.name == "scalar" or n.shape == ()

    def dtype(n):
        return float32 if n.dtype.kind == "f" else n.dtype

    rank = [RANK[n.dtype.kind] for n in (x, y)]
    if weak(x) != weak(y):
        strong, other = (y, x) if weak(x) else (x, y)
        at = RANK[strong.dtype.kind] >= RANK[other.dtype.kind]
        out = dtype(strong) if at else dtype(other)
    else:
        out = dtype(x) if rank[0] >= rank[1] else dtype(y)
    return el.cast(x, out), el.cast(y, out)


def binary(name, op):
    def build(attrs, x, y):
        return op(*promote(x, y))

    return Call(name, build)


def floating(x):
    return x if x.dtype.is_float else el.cast(x, float32)


ADD, SUB, MUL = binary("add", el.ADD), binary("sub", el.SUB), binary("mul", el.MUL)
DIV = Call("div", lambda a, x, y: el.DIV(*(floating(n) for n in promote(x, y))))
GT, LT, EQ = binary("gt", el.gt), binary("lt", el.LT), binary("eq", el.EQ)
MIN = binary("minimum", el.MINIMUM)


def unary(name, op):
    return Call(name, lambda attrs, x: op(floating(x)))


EXP, TANH, SQRT = unary("exp", el.EXP), unary("tanh", el.TANH), unary("sqrt", el.SQRT)
SIGMOID = unary("sigmoid", el.SIGMOID)
RELU = Call("relu", lambda attrs, x: relu(x))
NEG = Call("neg", lambda attrs, x: -x)
SUM = Call("sum", lambda attrs, x: sum_(_counted(x), attrs[0], attrs[1]))
MEAN = Call("mean", lambda attrs, x: sum_(x, None, False) / float(x.form.size))
CLONE = Call("clone", lambda attrs, x: x)
CAST = Call("cast", lambda attrs, x: el.cast(x, attrs[0]))
SOFTMAX = Call("softmax", lambda attrs, x: softmax(x, attrs[0]))
LOG_SOFTMAX = Call("log_softmax", lambda attrs, x: log_softmax(x, attrs[0]))
LINEAR = Call("linear", lambda attrs, x, w, *b: linear_nodes(x, w, *b))
MATMUL = Call("matmul", lambda attrs, x, y: linear_nodes(x, _swap(y)))
ARGMAX = Call("argmax", lambda attrs, x: argmax(x, attrs[0], False), False)
CROSS_ENTROPY = Call("cross_entropy", lambda attrs, x, y: _mean(losses.cross_entropy(x, y)))
POWER = Call(
    "power", lambda attrs, x: el.power(floating(x) if attrs[1] is float else x, attrs[0])
)
WHERE = Call("where", lambda attrs, c, x, y: el.where(c, *promote(x, y)))
NORM = Call("norm", lambda attrs, *xs: el.SQRT(_total(xs)))


def _counted(x):
    return el.cast(x, int64) if x.dtype is bool_ else x


def _swap(x):
    from gemel.ops.movement import swap

    return swap(x)


def _mean(x):
    return sum_(x, None, False) / float(x.form.size)


def _total(xs):
    out = sum_(xs[0] * xs[0], None, False)
    for x in xs[1:]:
        out = out + sum_(x * x, None, False)
    return out


def _index_rows(attrs, x, *index):
    return indexing.gather(*_merged(x, index), 0)


def _merged(x, index):
    """x with its leading axes merged, and one index into the merged axis."""
    sizes = x.shape[: len(index)]
    pairs = zip(index, sizes, strict=True)
    index = [el.where(el.LT(i, el.lift(0, i.dtype)), i + n, i) for i, n in pairs]
    flat = indexing.linear_index(list(index), sizes)
    return indexing.merge_axes(x, 0, len(index)), flat


def _put_rows(attrs, x, value, *index):
    base, flat = _merged(x, index)
    value = expand(el.cast(value, x.dtype), flat.shape + base.shape[1:])
    return reshape(indexing.scatter_set(base, flat, value, 0), x.shape)


INDEX = Call("index", _index_rows)
INDEX_PUT = Call("index_put", _put_rows)


def _noise(attrs, state, *_):
    """Not random at all: the state's counter spread over the cells."""
    count = el.cast(state, float32)
    cells = el.cast(iota(attrs[0], len(attrs[0]) - 1, int64), float32)
    return state + 1, el.SIN(reshape(count, (1,) * len(attrs[0])) * 12.9898 + cells * 78.233)


NOISE = Call("noise", _noise, False)


class Tensor(core.Tensor):
    __slots__ = ()
    __hash__ = object.__hash__
    shape = property(lambda t: t.form.shape)
    dtype = property(lambda t: t.form.dtype)
    ndim = property(lambda t: t.form.ndim)
    is_leaf = property(core.is_leaf)
    _version = property(core.version)
    T = property(lambda t: t.t())

    def __add__(a, b):
        return core.record2(ADD, a, b)

    def __radd__(a, b):
        return core.record2(ADD, a, b, None, True)

    def __sub__(a, b):
        return core.record2(SUB, a, b)

    def __rsub__(a, b):
        return core.record2(SUB, a, b, None, True)

    def __mul__(a, b):
        return core.record2(MUL, a, b)

    __rmul__ = __mul__

    def __truediv__(a, b):
        return core.record2(DIV, a, b)

    def __rtruediv__(a, b):
        return core.record2(DIV, a, b, None, True)

    def __gt__(a, b):
        return core.record2(GT, a, b)

    def __lt__(a, b):
        return core.record2(LT, a, b)

    def __eq__(a, b):
        return core.record2(EQ, a, b)

    def __neg__(a):
        return core.record1(NEG, a)

    def __matmul__(a, b):
        return core.record2(MATMUL, a, b)

    def __pow__(a, k):
        return core.record1(POWER, a, (k, type(k)))

    def exp(a):
        return core.record1(EXP, a)

    def tanh(a):
        return core.record1(TANH, a)

    def sqrt(a):
        return core.record1(SQRT, a)

    def sigmoid(a):
        return core.record1(SIGMOID, a)

    def relu(a):
        return core.record1(RELU, a)

    def mean(a):
        return core.record1(MEAN, a)

    def sum(a, dim=None, keepdim=False):
        return core.record1(SUM, a, (dim if dim is None else (dim,), keepdim))

    def argmax(a, dim):
        return core.record1(ARGMAX, a, (dim,))

    def softmax(a, dim):
        return core.record1(SOFTMAX, a, (dim,))

    def clone(a):
        return core.record1(CLONE, a)

    def to(a, dtype):
        return core.record1(CAST, a, (dtype_of(dtype),))

    # ---------- looking ----------
    def item(t):
        return core.item(t)

    def tolist(t):
        return core.array_of(t).tolist()

    def numpy(t):
        if t.requires_grad:
            raise RuntimeError("numpy() of a tensor that requires grad; use detach()")
        return core.export(t)

    def __float__(t):
        return float(t.item())

    def __bool__(t):
        return bool(t.item())

    def __len__(t):
        return t.shape[0]

    # ---------- gradients ----------
    @property
    def requires_grad(t):
        return core.requires_grad(t)

    def requires_grad_(t, flag=True):
        return core.set_requires_grad(t, flag)

    def backward(t, gradient=None, retain_graph=None, create_graph=False):
        core.backward(t, gradient, retain_graph, create_graph)

    def register_hook(t, f):
        return core.add_hook(t, f)

    def detach(t):
        return core.detach(t)

    @property
    def data(t):
        return core.data(t)

    @data.setter
    def data(t, value):
        core.rebind(t, value)

    def set_(t, other):
        core.rebind(t, other)
        return t

    # ---------- views ----------
    def stride(t):
        return core.strides(t)

    def storage_offset(t):
        return core.offset(t)

    def is_contiguous(t):
        return core.is_contiguous(t)

    def contiguous(t):
        return t if t.is_contiguous() else t.clone()

    def _full(t, shape):
        shape = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        rest = int(np.prod([n for n in shape if n != -1]))
        return tuple(t.form.size // rest if n == -1 else n for n in shape)

    def view(t, *shape):
        shape = t._full(shape)
        if not core.viewable(t, shape):
            raise RuntimeError("this view needs a copy; use reshape()")
        return core.look(t, ("reshape", shape))

    def reshape(t, *shape):
        shape = t._full(shape)
        return core.look(t if core.viewable(t, shape) else t.clone(), ("reshape", shape))

    def permute(t, *order):
        return core.look(t, ("permute", order))

    def t(t):
        return t.permute(*reversed(range(t.ndim)))

    def transpose(t, a, b):
        order = list(range(t.ndim))
        order[a], order[b] = order[b], order[a]
        return t.permute(*order)

    def expand(t, *shape):
        return core.look(t, ("expand", shape))

    def diagonal(t, offset=0):
        return core.look(t, ("diagonal", offset, 0, 1))

    def unsqueeze(t, d):
        shape = list(t.shape)
        shape.insert(d, 1)
        return core.look(t, ("reshape", tuple(shape)))

    def narrow(t, d, start, n):
        return t[(slice(None),) * d + (slice(start, start + n),)]

    def select(t, d, i):
        return t[(slice(None),) * d + (i,)]

    def unbind(t):
        return [t[i] for i in range(len(t))]

    def chunk(t, n):
        k = -(-len(t) // n)
        return [t[i : i + k] for i in range(0, len(t), k)]

    def as_strided(t, size, stride, offset=0):
        return core.look(t, ("as_strided", tuple(size), tuple(stride), offset))

    def _specs(t, index):
        """A basic index as a slice and a reshape."""
        index = index + (slice(None),) * (t.ndim - len(index))
        rows, shape = [], []
        for i, n in zip(index, t.shape, strict=True):
            if isinstance(i, slice):
                a, b, s = i.indices(n)
                rows.append((a, max(a, b), s))
                shape.append(len(range(a, b, s)))
            else:
                if not -n <= i < n:
                    raise IndexError(f"index {i} of {n}")
                rows.append((i % n, i % n + 1, 1))
        cut = ("slice", tuple(rows))
        return (cut,) if len(shape) == t.ndim else (cut, ("reshape", tuple(shape)))

    def __getitem__(t, index):
        index = index if isinstance(index, tuple) else (index,)
        if any(isinstance(i, (Tensor, list)) for i in index):
            return core.record_n(INDEX, Tensor, (t, *_rows(index)))
        return core.look(t, *t._specs(index))

    def __setitem__(t, index, value):
        index = index if isinstance(index, tuple) else (index,)
        if not isinstance(value, (Tensor, int, float)):
            value = tensor(value)
        if any(isinstance(i, (Tensor, list)) for i in index):
            core.inplace(INDEX_PUT, t, value, *_rows(index))
        else:
            core.write(core.look(t, *t._specs(index)), value)

    # ---------- in place ----------
    def add_(t, other, alpha=1):
        return core.inplace(ADD, t, other if alpha == 1 else other * alpha)

    def sub_(t, other, alpha=1):
        return core.inplace(SUB, t, other if alpha == 1 else other * alpha)

    def mul_(t, other):
        return core.inplace(MUL, t, other)

    def div_(t, other):
        return core.inplace(DIV, t, other)

    __iadd__, __isub__, __imul__, __itruediv__ = add_, sub_, mul_, div_

    def exp_(t):
        return core.inplace(EXP, t)

    def relu_(t):
        return core.inplace(RELU, t)

    def neg_(t):
        return core.inplace(NEG, t)

    def fill_(t, value):
        return core.write(t, value)

    def zero_(t):
        return core.write(t, 0)

    def copy_(t, other):
        return core.write(t, other)


Tensor.kin = Tensor


def _rows(index):
    """Index tensors; a mask becomes the positions where it is true (it has to be looked at)."""
    out = []
    for i in index:
        i = tensor(i) if isinstance(i, list) else i
        if i.dtype is bool_:
            out += [tensor(a) for a in np.nonzero(core.array_of(i))]
        else:
            out.append(i)
    return out


def tensor(values, requires_grad=False):
    a = np.asarray(values)
    t = core.from_array(a.astype("f4") if a.dtype == np.float64 else a, Tensor)
    return t.requires_grad_() if requires_grad else t


def from_numpy(array):
    return core.share_array(array, Tensor)


def full(shape, value, dtype=float32):
    return core.fill(tuple(shape), value, dtype, Tensor)


def zeros(*shape):
    return full(shape, 0.0)


def ones(*shape):
    return full(shape, 1.0)


class Noise:
    """A generator: its state is an ordinary tensor."""

    def __init__(self):
        self.state = tensor(np.zeros(1, np.uint32))

    def __call__(self, *shape):
        return core.record_state(NOISE, self.state, Tensor, (), (shape,))[0]


class Parameter(Tensor):
    __slots__ = ()


def parameter(array):
    return core.from_array(np.asarray(array, "f4"), Parameter).requires_grad_()


# ---------- layers and optimizers ----------
class Linear:
    def __init__(self, weight, bias):
        self.weight, self.bias = parameter(weight), parameter(bias)

    def __call__(self, x):
        return core.record3(LINEAR, x, self.weight, self.bias)


def cross_entropy(x, y):
    return core.record2(CROSS_ENTROPY, x, y)


class SGD:
    """Written as a user would."""

    def __init__(self, params, lr):
        self.params, self.lr = list(params), lr

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        with core.no_grad():
            for p in self.params:
                if p.grad is not None:
                    p.sub_(p.grad * self.lr)
        core.flush()


def _adam(attrs, scale, root, *tensors):
    n, beta1, beta2, eps = attrs
    p, g, m, v = (tensors[k * n : k * n + n] for k in range(4))
    rows = zip(p, g, m, v, strict=True)
    rows = [updates.adam(*row, scale, root, beta1, beta2, eps) for row in rows]
    return tuple(r[0] for r in rows) + tuple(r[1] for r in rows) + tuple(r[2] for r in rows)


ADAM = Call("adam", _adam, False)


class Adam(SGD):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, lr)
        self.betas, self.eps, self.steps = betas, eps, 0
        self.state = {}
        self.members, self.pack = None, None

    def numbers(self):
        self.steps += 1
        b1, b2 = self.betas
        return self.lr / (1 - b1**self.steps), (1 - b2**self.steps) ** 0.5

    def _plan(self, params):
        """The state of the parameters that have gradients, as one pack."""
        for p in params:
            if id(p) not in self.state:
                with core.outside():
                    zero = np.zeros(p.shape, "f4")
                    self.state[id(p)] = (tensor(zero), tensor(zero))
        rows = [self.state[id(p)] for p in params]
        self.members = params
        self.pack = core.Pack([r[0] for r in rows] + [r[1] for r in rows])
        self.static = (len(params), *self.betas, self.eps)

    def step(self):
        params = [p for p in self.params if p.grad is not None]
        if self.members is None or not all(map(is_, params, self.members)):
            self._plan(params)
        scalars = core.replayed(self.numbers) if core.tracing() else self.numbers()
        core.update(ADAM, params, [p.grad for p in params], scalars, self.static, self.pack)
        core.flush()


def clip_grad_norm_(params, limit):
    params = [p for p in params if p.grad is not None]
    with core.no_grad():
        norm = core.record_n(NORM, Tensor, [p.grad for p in params])
        scale = core.record2(MIN, limit / (norm + 1e-6), 1.0)
        for p in params:
            p.grad.mul_(scale)
    return norm
