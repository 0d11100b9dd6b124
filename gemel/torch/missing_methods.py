"""Methods of PyTorch's tensors that Gemel's may lack, so that asking for one says so.

A `__getattr__` on the class would slow every attribute of every tensor; a descriptor per missing
name costs nothing elsewhere. `hasattr` is False for these names, as for any that is not there.
"""

from __future__ import annotations

NAMES = """
as_subclass ccol_indices chalf coalesce col_indices const_data_ptr crow_indices dense_dim
dequantize eig grad_dtype hardshrink hash_tensor index indices int_repr ipu is_coalesced
is_distributed is_ipu is_maia is_mkldnn is_mps is_mtia is_sparse_csr is_vulkan is_xla is_xpu
lstsq map2_ map_ module_load mtia name new output_nr prelu q_per_channel_axis
q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point qscheme record_stream
reinforce renorm renorm_ resize resize_as resize_as_ resize_as_sparse_ row_indices
slice_inverse smm solve sparse_dim sparse_mask sparse_resize_ sparse_resize_and_clear_
sspaddmm storage_type symeig to_dense to_mkldnn to_padded_tensor to_sparse to_sparse_bsc
to_sparse_bsr to_sparse_coo to_sparse_csc to_sparse_csr values volatile xpu
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
