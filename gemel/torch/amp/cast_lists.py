"""Which calls compute in which type under `torch.autocast("cpu")`.

Names are those of the recorded calls; a call that is in no list computes in the types it is given.
"""

from __future__ import annotations

from gemel.graph.form import DType, bfloat16, float16, float32
from gemel.tensor.casting import Rule, Rules

# matrix products and what is made of them: in the lower type
LOWER = """
    addbmm addmm attended attention_weights baddbmm bmm conv_transpose convolution linalg_vecdot
    einsum inner linear matmul mm prelu recurrent_layer scaled_dot_product_attention tensordot
"""
# sums of many terms, losses and decompositions: in float32
FLOAT32 = """
    binary_cross_entropy binary_cross_entropy_with_logits cholesky cholesky_inverse cholesky_solve
    cosine_embedding_loss cross_entropy ctc_loss fractional_max_pool geqrf grid_sampler
    hinge_embedding_loss huber_loss kl_div l1_loss linalg_cholesky linalg_cholesky_ex linalg_cond
    linalg_eig linalg_eigh linalg_eigvals linalg_eigvalsh linalg_householder_product linalg_inv
    linalg_inv_ex linalg_lstsq linalg_matrix_rank linalg_qr linalg_solve linalg_svd linalg_svdvals
    margin_ranking_loss max_unpool mse_loss multi_margin_loss multilabel_margin_loss nll_loss ormqr
    poisson_nll_loss polar prod smooth_l1_loss soft_margin_loss triangular_solve
    triplet_margin_loss linalg_pinv
    fft_fft fft_fft2 fft_fftn fft_hfft fft_hfft2 fft_hfftn fft_ifft fft_ifft2 fft_ifftn fft_ihfft
    fft_ihfft2 fft_ihfftn fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftn
"""
# pooling of three axes: in float32; of fewer: as it is given
VOLUMES = "avg_pool max_pool adaptive_pool"
# calls that want one type of all their operands: the widest of them
WIDEST = "cat index_copy stack"


def _lower(dtype: DType, attrs: tuple, given: tuple[DType, ...]) -> DType:
    return dtype


def _float32(dtype: DType, attrs: tuple, given: tuple[DType, ...]) -> DType:
    return float32


def _of_volumes(dtype: DType, attrs: tuple, given: tuple[DType, ...]) -> DType | None:
    return float32 if attrs[1] == 3 else None


def _border(dtype: DType, attrs: tuple, given: tuple[DType, ...]) -> DType | None:
    return float32 if attrs[1] in ("reflect", "replicate") else None


def _widest(dtype: DType, attrs: tuple, given: tuple[DType, ...]) -> DType:
    return float32 if len({dtype, *given}) > 1 and set(given) != {dtype} else given[0]


def _table() -> dict[str, Rule]:
    rows = (
        (LOWER, _lower),
        (FLOAT32, _float32),
        (VOLUMES, _of_volumes),
        ("pad", _border),
        (WIDEST, _widest),
    )
    return {name: rule for names, rule in rows for name in names.split()}


CPU = Rules(_table(), (bfloat16, float16, float32))
