"""The forms of an operation that follow from its function: the method, the in-place method, `out=`.

A file of operations writes `foo(input, ...)` and is done: here `x.foo(...)`, `x.foo_(...)` and
`foo(..., out=t)` are added under the names that PyTorch has them, where they are not there yet.
"""

from __future__ import annotations

from .checks import check_same_shape
from .out import factory_takes_out, takes_out, without_result
from .promotion import check_cast
from .tensor import Tensor
from .writing import write

METHODS = """
abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr all allclose amax amin aminmax
angle any arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort argwhere
as_strided as_strided_scatter asin asinh atan atan2 atanh baddbmm bernoulli bincount bitwise_and
bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor bmm broadcast_to ceil
cholesky cholesky_inverse cholesky_solve chunk clamp clamp_max clamp_min clip clone conj
conj_physical copysign corrcoef cos cosh count_nonzero cov cross cummax cummin cumprod cumsum
deg2rad det diag diag_embed diagflat diagonal diagonal_scatter diff digamma dist div divide dot
dsplit eq equal erf erfc erfinv exp exp2 expm1 fix flatten flip fliplr flipud float_power floor
floor_divide fmax fmin fmod frac frexp gather gcd ge geqrf ger greater greater_equal gt hardshrink
hash_tensor heaviside histc histogram hsplit hypot i0 igamma igammac index_add index_copy
index_fill index_put index_reduce index_select inner inverse isclose isfinite isinf isnan isneginf
isposinf isreal istft kron kthvalue lcm ldexp le lerp less less_equal lgamma log log10 log1p log2
log_softmax logaddexp logaddexp2 logcumsumexp logdet logical_and logical_not logical_or logical_xor
logit logsumexp lt lu lu_solve masked_fill masked_scatter masked_select matmul matrix_exp
matrix_power max maximum mean median min minimum mm mode moveaxis movedim msort mul multinomial
multiply mv mvlgamma nan_to_num nanmean nanmedian nanquantile nansum narrow narrow_copy ne neg
negative nextafter nonzero nonzero_static norm not_equal orgqr ormqr outer permute pinverse
polygamma positive pow prelu prod put qr quantile rad2deg ravel reciprocal relu remainder renorm
repeat_interleave reshape resolve_conj resolve_neg roll rot90 round rsqrt scatter scatter_add
scatter_reduce select select_scatter sgn sigmoid sign signbit sin sinc sinh slice_inverse
slice_scatter slogdet softmax sort split split_with_sizes sqrt square squeeze std stft sub subtract
sum svd swapaxes swapdims t take take_along_dim tan tanh tensor_split tile topk trace transpose
triangular_solve tril triu true_divide trunc unbind unflatten unique unique_consecutive
unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze var vdot vsplit where xlogy
""".split()

IN_PLACE = """
abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr arccos arccosh arcsin arcsinh
arctan arctan2 arctanh asin asinh atan atan2 atanh baddbmm bitwise_and bitwise_left_shift
bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil clamp clamp_max clamp_min clip
conj_physical copysign cos cosh cumprod cumsum deg2rad digamma div divide eq erf erfc erfinv exp
exp2 expm1 fix float_power floor floor_divide fmod frac gcd ge greater greater_equal gt heaviside
hypot i0 igamma igammac index_add index_copy index_fill index_put index_reduce lcm ldexp le lerp
less less_equal lgamma log log10 log1p log2 logical_and logical_not logical_or logical_xor logit lt
masked_fill masked_scatter mul multiply mvlgamma nan_to_num ne neg negative nextafter not_equal
polygamma pow put rad2deg reciprocal relu remainder renorm round rsqrt scatter scatter_add
scatter_reduce sgn sigmoid sign sin sinc sinh sqrt square sub subtract tan tanh tril triu
true_divide trunc xlogy
""".split()

OUT = """
_batch_norm_with_update
_chunk_cat _native_batch_norm_legit abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv
addr alias_copy all amax amin aminmax angle any arange arccos arccosh arcsin arcsinh arctan arctan2
arctanh argmax argmin argsort as_strided_copy asin asinh atan atan2 atanh baddbmm bernoulli
bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor bmm bucketize
cat ceil chain_matmul cholesky cholesky_inverse cholesky_solve clamp clamp_max clamp_min clip
column_stack complex concat concatenate conj_physical copysign cos cosh cross cummax cummin cumprod
cumsum deg2rad detach_copy diag diagonal_copy diff digamma div divide dot dstack empty eq erf erfc
erfinv exp exp2 expand_copy expm1 eye fix float_power floor floor_divide fmax fmin fmod frac frexp
frobenius_norm full gather gcd ge geqrf ger greater greater_equal gt hash_tensor heaviside histc
histogram hstack hypot i0 igamma igammac index_add index_copy index_reduce index_select inner
inverse isin isneginf isposinf kron kthvalue lcm ldexp le lerp less less_equal lgamma linspace log
log10 log1p log2 log_softmax logaddexp logaddexp2 logcumsumexp logical_and logical_not logical_or
logical_xor logit logspace logsumexp lt lu_solve lu_unpack masked_select matmul matrix_power max
maximum mean median min minimum mm mode msort mul multinomial multiply mv mvlgamma nan_to_num
nanmean nanmedian nanquantile nansum narrow_copy native_batch_norm ne neg negative nextafter
nonzero nonzero_static norm normal not_equal nuclear_norm ones orgqr ormqr outer permute_copy polar
polygamma pow prod qr quantile rad2deg rand randint randn randperm range reciprocal remainder
renorm round row_stack rsqrt saddmm scatter scatter_add scatter_reduce searchsorted select_copy sgn
sigmoid sign signbit sin sinc sinh slice_copy slice_scatter slogdet softmax sort split_copy
split_with_sizes_copy sqrt square squeeze_copy stack std sub subtract sum svd t_copy take
take_along_dim tan tanh tensordot topk transpose_copy triangular_solve tril triu true_divide trunc
unbind_copy unfold_copy unsqueeze_copy var vdot view_as_complex_copy view_as_real_copy view_copy
vstack where xlogy zeros
""".split()

_OUT = frozenset(OUT)
# those whose `out` must have the result's own type
SAME_TYPE = frozenset(
    """
addbmm addmm addmv alias_copy all amax amin aminmax any argmax argmin as_strided_copy baddbmm bmm
clamp cross cummax cummin diag diagonal_copy dot expand_copy gather histc index_add index_copy
index_reduce index_select kthvalue log_softmax masked_select matmul max median min mm mode
multinomial mv narrow_copy nonzero nonzero_static norm permute_copy renorm scatter scatter_add
scatter_reduce softmax sort squeeze_copy t_copy take take_along_dim topk transpose_copy
tril triu unbind_copy unfold_copy unsqueeze_copy view_copy where
""".split()
)
# those that compute in the type of `out`
ANY_TYPE = frozenset("sum nansum prod cumsum cumprod".split())
# those that make a tensor of nothing: `out` says the type
FACTORIES = frozenset("arange empty eye full linspace logspace ones range zeros".split())
# those that give nothing back where `out` is given
SILENT = frozenset("split_copy split_with_sizes_copy unbind_copy".split())


def complete(functions: dict) -> None:
    """Add the forms that follow from the functions of `torch` (a namespace)."""
    add_out(functions, OUT)
    for name in METHODS:
        if name in functions and not hasattr(Tensor, name):
            setattr(Tensor, name, functions[name])
    for name in IN_PLACE:
        if hasattr(Tensor, name) and not hasattr(Tensor, name + "_"):
            setattr(Tensor, name + "_", in_place(name, getattr(Tensor, name)))


def loaded(name: str, found):
    """A function that was loaded when it was first named, with its argument `out`."""
    if name in _OUT and callable(found) and hasattr(found, "__code__") and not _has_out(found):
        return _with_out(name, found)
    return found


def load_later(names) -> None:
    """Methods for functions that are loaded when they are first named."""
    for name in METHODS:
        if name in names and not hasattr(Tensor, name):
            setattr(Tensor, name, _loading(name))


def _loading(name: str):
    def method(self, *args, **options):
        import gemel.torch as face

        return getattr(face, name)(self, *args, **options)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"See torch.{name}."
    return method


def add_out(functions: dict, names) -> None:
    """Give those functions of a namespace that lack it the argument `out`."""
    for name in names:
        function = functions.get(name)
        if function is not None and not _has_out(function):
            functions[name] = _with_out(name, function)


def _with_out(name: str, function):
    if name in FACTORIES:
        return factory_takes_out(function)
    made = takes_out(function, out_types(name))
    return without_result(made) if name in SILENT else made


def out_types(name: str) -> str:
    """Which types `out` may have, in the words of `out.into`."""
    return "same" if name in SAME_TYPE else "any" if name in ANY_TYPE else "safe"


def _has_out(function) -> bool:
    code = function.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    return "out" in code.co_varnames[:count] or getattr(function, "takes_out", False)


def in_place(name: str, method):
    """The method that writes what `method` gives into the tensor itself."""

    def apply(self, *args, **options):
        # what gradients read of the older value is not what is written to
        result = method(self.clone() if self.requires_grad else self, *args, **options)
        check_same_shape(self.form, result.form)
        check_cast(result.form.dtype, self.form.dtype)
        return write(self, result)

    apply.__name__ = apply.__qualname__ = name + "_"
    apply.__doc__ = f"{name} with the result written to this tensor; its shape and type stay."
    return apply
