"""Which ops autocast runs in 16 bits, which in float32, and which in the widest of their inputs.

The lists of PyTorch 2.13's documentation ("Autocast op reference"), for the CPU and for other
devices, by the names that the ops have here.
"""

from __future__ import annotations

from typing import Final

LOWER: Final = frozenset({
    "linear", "matmul", "mm", "bmm", "mv", "addmm", "addmv", "addr", "addbmm", "baddbmm",
    "chain_matmul", "multi_dot", "einsum", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "convolution", "scaled_dot_product_attention",
    "vecdot", "prelu",
})
_LOSSES: Final = frozenset({
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "nll_loss", "cross_entropy", "kl_div",
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "soft_margin_loss",
    "triplet_margin_loss", "multi_margin_loss", "multilabel_margin_loss", "poisson_nll_loss",
    "ctc_loss", "binary_cross_entropy_with_logits",
})
_BOTH: Final = _LOSSES | {"prod", "cdist", "norm"}
SINGLE_ON_CPU: Final = _BOTH | {
    "binary_cross_entropy", "avg_pool3d", "adaptive_avg_pool3d", "max_pool3d", "grid_sample",
    "polar", "quantile", "nanquantile", "trace", "view_as_complex", "cholesky",
    "cholesky_inverse", "cholesky_solve", "inverse", "lu_solve", "orgqr", "ormqr", "pinverse",
    "fft_fft", "fft_ifft", "fft_fft2", "fft_ifft2", "fft_fftn", "fft_ifftn", "fft_rfft",
    "fft_irfft", "fft_rfft2", "fft_irfft2", "fft_rfftn", "fft_irfftn", "fft_hfft", "fft_ihfft",
    "cond", "matrix_rank", "solve", "linalg_cholesky", "svdvals", "eigvals", "eigvalsh", "inv",
    "householder_product", "tensorinv", "tensorsolve", "geqrf", "eig", "eigh", "lstsq",
    "linalg_qr", "linalg_svd", "det", "slogdet",
}
SINGLE_ELSEWHERE: Final = _BOTH | {
    "acos", "asin", "cosh", "sinh", "tan", "erfinv", "exp", "expm1", "log", "log10", "log2",
    "log1p", "reciprocal", "rsqrt", "pow", "softplus", "softmax", "log_softmax", "softmin",
    "layer_norm", "group_norm", "rms_norm", "cumprod", "cumsum", "dist", "renorm", "logsumexp",
    "sum", "gelu",
}
WIDEST: Final = frozenset({"cat", "stack", "index_copy"})
WIDEST_ELSEWHERE: Final = WIDEST | {
    "addcdiv", "addcmul", "atan2", "bilinear", "cross", "dot", "grid_sample", "index_put",
    "scatter_add", "tensordot"}
REFUSED_ELSEWHERE: Final = {
    "binary_cross_entropy": "nn.functional.binary_cross_entropy and nn.BCELoss are unsafe to "
    "autocast: use binary_cross_entropy_with_logits or nn.BCEWithLogitsLoss",
}
