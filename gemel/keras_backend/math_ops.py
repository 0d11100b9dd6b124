"""`keras.ops.math`: segments, top-k, distances; Fourier transforms."""

from __future__ import annotations

from gemel import tensor as lazy
from gemel.graph.form import bool_, int64
from gemel.ops import elementwise as E
from gemel.ops import movement as M
from gemel.ops import reduction as R
from gemel.ops.record import Call, const

from .arithmetic import OPS
from .fourier import fft as fft
from .fourier import fft2 as fft2
from .fourier import ifft2 as ifft2
from .fourier import irfft as irfft
from .fourier import istft as istft
from .fourier import rfft as rfft
from .fourier import stft as stft
from .ordered import top_k  # noqa: F401
from .reductions import REDUCTIONS
from .shaping import expand_dims, narrow
from .tensors import tensor

erf, erfc, erfinv, rsqrt = (OPS[name] for name in ("erf", "erfc", "erfinv", "rsqrt"))
logsumexp = REDUCTIONS["logsumexp"]


def _limits(dtype, largest: bool):
    if dtype.is_float:
        return float("inf") if largest else float("-inf")
    top = 2 ** (dtype.bits - (dtype.kind == "i")) - 1
    return top if largest else -top - 1 if dtype.kind == "i" else 0


def _segments(attrs, data, ids):
    """Every segment is a reduction over the rows that carry its number."""
    count, kind = attrs
    n = data.shape[0]
    rest = data.shape[1:]
    number = M.iota((count, n), 0, ids.dtype)
    mine = E.eq(M.expand(M.reshape(ids, (1, n)), (count, n)), number)
    mask = M.expand(M.reshape(mine, (count, n) + (1,) * len(rest)), (count, n, *rest))
    wide = M.expand(data, (count, n, *rest))
    neutral = {"sum": 0, "prod": 1}.get(kind)
    if neutral is None:
        neutral = _limits(data.dtype, kind == "min")
    reduce = {"sum": R.sum_, "prod": R.prod, "max": R.amax, "min": R.amin}[kind]
    return reduce(E.where(mask, wide, const(neutral, data.dtype)), 1)


def _segment(kind: str):
    call = Call(f"segment_{kind}", _segments)

    def op(data, segment_ids, num_segments=None, sorted=False) -> lazy.Tensor:
        data, ids = tensor(data), tensor(segment_ids)
        if num_segments is None:
            num_segments = int(REDUCTIONS["max"](ids)) + 1
        return lazy.record2(call, data, ids, (int(num_segments), kind))

    op.__name__ = op.__qualname__ = f"segment_{kind}"
    return op


segment_sum, segment_max, segment_min, segment_prod = (
    _segment(kind) for kind in ("sum", "max", "min", "prod")
)


def in_top_k(targets, predictions, k) -> lazy.Tensor:
    """Is the target among the k largest predictions? Ties count as inside."""
    targets, predictions = tensor(targets), tensor(predictions)
    return lazy.record2(_IN_TOP_K, targets, predictions, (int(k),))


def _in_top_k(attrs, targets, predictions):
    n = predictions.shape[-1]
    wide = predictions.shape
    label = M.expand(M.reshape(targets, (*targets.shape, 1)), wide)
    hit = E.eq(M.iota(wide, len(wide) - 1, targets.dtype), label)
    score = R.sum_(E.where(hit, predictions, const(0, predictions.dtype)), -1, True)
    above = R.sum_(E.cast(E.gt(predictions, score), int64), -1)
    inside = E.and_(E.le(const(0, targets.dtype), targets), E.lt(targets, n))
    finite = R.all_(E.lt(E.ABS(score), float("inf")), -1)
    return E.cast(E.and_(E.and_(E.lt(above, attrs[0]), inside), finite), bool_)


_IN_TOP_K = Call("in_top_k", _in_top_k, differentiable=False)


def cdist(x, y) -> lazy.Tensor:
    x, y = tensor(x), tensor(y)
    if x.form.ndim < 2 or y.form.ndim < 2:
        raise ValueError("`cdist` inputs must have rank >= 2")
    if x.form.shape[-1] != y.form.shape[-1]:
        raise ValueError("Last dimension of inputs to `cdist` must match")
    d = expand_dims(x, -2) - expand_dims(y, -3)
    return OPS["sqrt"](REDUCTIONS["sum"](OPS["square"](d), -1))


def extract_sequences(x, sequence_length, sequence_stride) -> lazy.Tensor:
    from .shaping import stack

    x = tensor(x)
    n = x.form.shape[-1]
    count = (n - (sequence_length - sequence_stride)) // sequence_stride
    last = x.form.ndim - 1
    rows = [narrow(x, last, i * sequence_stride, sequence_length) for i in range(count)]
    return stack(rows, -2)


def logdet(x) -> lazy.Tensor:
    from .linalg_ops import slogdet

    return slogdet(x)[1]
