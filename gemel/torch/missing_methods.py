"""Methods of PyTorch's tensors that Gemel's lack, so that asking for one says so.

A `__getattr__` on the class would slow every attribute of every tensor; a descriptor per missing
name costs nothing elsewhere. `hasattr` is False for these names, as for any that is not there.
"""

from __future__ import annotations

NAMES = """
addr_ angle as_strided_ as_strided_scatter as_subclass bfloat16 ccol_indices cdouble cfloat
chalf coalesce col_indices conj_physical conj_physical_ const_data_ptr crow_indices
dense_dim dequantize diagonal_scatter digamma digamma_ dim_order dsplit eig erfc erfc_
erfinv erfinv_ float_power_ frexp gcd gcd_ ger grad_dtype half hardshrink hash_tensor
histogram i0 i0_ igamma igamma_ igammac igammac_ imag index index_reduce index_reduce_
indices int_repr ipu is_coalesced is_distributed is_ipu is_maia is_mkldnn is_mps is_mtia
is_sparse_csr is_vulkan is_xla is_xpu isreal istft lcm lcm_ ldexp ldexp_ lgamma lgamma_
logit_ lstsq map2_ map_ masked_scatter module_load mtia mvlgamma mvlgamma_ name nanmedian
nanquantile narrow_copy new new_empty_strided nextafter nextafter_ nonzero_static output_nr
polygamma polygamma_ prelu put put_ q_per_channel_axis q_per_channel_scales
q_per_channel_zero_points q_scale q_zero_point qscheme record_stream reinforce renorm
renorm_ resize resize_as resize_as_ resize_as_sparse_ row_indices scatter_reduce
scatter_reduce_ select_scatter slice_inverse slice_scatter smm solve sparse_dim sparse_mask
sparse_resize_ sparse_resize_and_clear_ split_with_sizes sspaddmm stft storage_type
sum_to_size symeig to_dense to_mkldnn to_padded_tensor to_sparse to_sparse_bsc to_sparse_bsr
to_sparse_coo to_sparse_csc to_sparse_csr unsafe_chunk unsafe_split unsafe_split_with_sizes
values volatile xpu
""".split()


class Missing:
    """Raises AttributeError when the name is asked for."""

    def __init__(self, name: str):
        self.name = name

    def __get__(self, instance, owner=None):
        raise AttributeError(
            f"'Tensor' object has no attribute '{self.name}' in Gemel's PyTorch face (not yet, or "
            "not at all); run `gemel coverage torch` to see what there is"
        )


def mark_missing(cls: type) -> None:
    """Put a `Missing` in the place of every name that the class does not have."""
    for name in NAMES:
        if not hasattr(cls, name):
            setattr(cls, name, Missing(name))
