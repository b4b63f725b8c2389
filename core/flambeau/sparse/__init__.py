"""Sparse tensors: coordinates and compressed lines over dense parts, on any device.

PyTorch's ``torch.sparse``; the constructors are names of ``flambeau`` itself.  Loaded when a sparse
tensor is first made.
"""

from __future__ import annotations

from flambeau.sparse.construct import (
    sparse_bsc_tensor as sparse_bsc_tensor,
)
from flambeau.sparse.construct import (
    sparse_bsr_tensor as sparse_bsr_tensor,
)
from flambeau.sparse.construct import (
    sparse_compressed_tensor as sparse_compressed_tensor,
)
from flambeau.sparse.construct import (
    sparse_coo_tensor as sparse_coo_tensor,
)
from flambeau.sparse.construct import (
    sparse_csc_tensor as sparse_csc_tensor,
)
from flambeau.sparse.construct import (
    sparse_csr_tensor as sparse_csr_tensor,
)
from flambeau.sparse.invariants import check_sparse_tensor_invariants
from flambeau.sparse.products import hspmm as hspmm
from flambeau.sparse.products import smm as smm
from flambeau.sparse.products import sspaddmm as sspaddmm
from flambeau.sparse.reductions import (
    addmm,
    as_sparse_gradcheck,
    log_softmax,
    mm,
    sampled_addmm,
    softmax,
    spdiags,
    sum,
)
from flambeau.sparse.tensor import SparseTensor as SparseTensor

__all__ = [
    "addmm", "as_sparse_gradcheck", "check_sparse_tensor_invariants", "log_softmax", "mm",
    "sampled_addmm", "softmax", "spdiags", "sum",
]
