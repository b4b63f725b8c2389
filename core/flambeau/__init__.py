"""PyTorch's programming model on any device that someone can write a plugin for."""

from __future__ import annotations

import importlib
from math import e, inf, nan, pi
from typing import TYPE_CHECKING, Any

from flambeau import compiled  # first, so that the modules below are found compiled

# isort: split
from flambeau.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from flambeau.construct import as_tensor, asarray, from_numpy, frombuffer, is_tensor, tensor
from flambeau.device import device, get_default_device, set_default_device
from flambeau.dtypes import (
    bfloat16,
    bool,
    can_cast,
    complex32,
    complex64,
    complex128,
    dtype,
    finfo,
    float8_e4m3fn,
    float8_e4m3fnuz,
    float8_e5m2,
    float8_e5m2fnuz,
    float8_e8m0fnu,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
    uint16,
    uint32,
    uint64,
)
from flambeau.errors import OutOfMemoryError
from flambeau.interop import from_dlpack, to_dlpack
from flambeau.layout import Size
from flambeau.memory_format import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    memory_format,
    preserve_format,
)
from flambeau.ops.axes import adjoint, as_strided_, unravel_index
from flambeau.ops.axes import resolved as resolve_conj
from flambeau.ops.axes import resolved as resolve_neg
from flambeau.ops.complex import imag, real
from flambeau.ops.create import (
    arange,
    empty,
    empty_like,
    empty_permuted,
    empty_strided,
    eye,
    full,
    full_like,
    linspace,
    logspace,
    ones,
    ones_like,
    scalar_tensor,
    zeros,
    zeros_like,
)
from flambeau.ops.create import (
    range_ as range,
)
from flambeau.ops.diagonals import tril_indices, triu_indices
from flambeau.ops.differences import gradient
from flambeau.ops.distributions import normal
from flambeau.ops.dropout import plain_alpha_dropout as alpha_dropout
from flambeau.ops.dropout import plain_alpha_dropout_ as alpha_dropout_
from flambeau.ops.dropout import plain_dropout as dropout
from flambeau.ops.dropout import plain_dropout_ as dropout_
from flambeau.ops.dropout import plain_feature_alpha_dropout as feature_alpha_dropout
from flambeau.ops.dropout import plain_feature_alpha_dropout_ as feature_alpha_dropout_
from flambeau.ops.einsum import einsum
from flambeau.ops.factorize import lu
from flambeau.ops.facts import (
    get_device,
    is_complex,
    is_conj,
    is_floating_point,
    is_inference,
    is_neg,
    is_nonzero,
    is_same_size,
    is_signed,
    is_storage,
    jagged,
    layout,
    numel,
    result_type,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
    typename,
)
from flambeau.ops.grid import (
    block_diag,
    broadcast_shapes,
    broadcast_tensors,
    cartesian_prod,
    meshgrid,
)
from flambeau.ops.hashing import hash_tensor
from flambeau.ops.histogram import histogram, histogramdd
from flambeau.ops.join import concat
from flambeau.ops.join import concat as concatenate
from flambeau.ops.legacy import is_distributed
from flambeau.ops.matrix_exp import pca_lowrank, svd_lowrank
from flambeau.ops.memory import clone, detach, detach_, detach_copy, resize_as_, zero_
from flambeau.ops.products import chain_matmul
from flambeau.ops.random import (
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
)
from flambeau.ops.recurrent import gru, lstm, rnn_relu, rnn_tanh
from flambeau.ops.shape import as_strided, as_strided_scatter, broadcast_to
from flambeau.ops.spectral import istft, stft
from flambeau.ops.stacking import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    split_with_sizes,
    split_with_sizes_copy,
    unsafe_chunk,
    unsafe_split,
    unsafe_split_with_sizes,
)
from flambeau.ops.stacking import vstack as row_stack
from flambeau.printing import get_printoptions, printoptions, set_printoptions
from flambeau.random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from flambeau.registry import OPS as _OPS
from flambeau.tensor import Tensor
from flambeau.tensor_type import (
    BFloat16Tensor,
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    set_default_tensor_type,
)
from flambeau.threads import get_num_threads, set_num_threads

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


__version__ = "0.1.0"

newaxis = None
legacy_contiguous_format = contiguous_format

float, double, half = float32, float64, float16
long, int, short = int64, int32, int16
chalf, cfloat, cdouble = complex32, complex64, complex128

for _op in _OPS.values():
    if "" in _op.namespaces:
        globals()[_op.name] = _op.function
        for _alias in (_op.name, *_op.methods):
            if not _alias.startswith("__"):
                globals().setdefault(_alias, _op.function)
                if _op.inplace_function is not None:
                    globals().setdefault(f"{_alias}_", _op.inplace_function)

_LAZY = (
    "amp", "autograd", "backend", "cpu", "data", "distributions", "fallback", "fft", "func",
    "futures", "fx", "hub", "jit", "linalg", "masked", "nested", "nn", "optim", "profiler",
    "serialization", "signal",
    "sparse", "special", "storages", "testing", "utils", "vision",
)

_ELSEWHERE = {
    "AcceleratorError": "errors", "cond": "control_flow", "lobpcg": "eigenpairs",
    "while_loop": "control_flow",
    **dict.fromkeys((
        "sym_float", "sym_fresh_size", "sym_int", "sym_ite", "sym_max", "sym_min", "sym_not",
        "sym_sqrt", "sym_sum",
    ), "symbols"),
    "vmap": "func",
    **dict.fromkeys((
        "hspmm", "smm", "sparse_bsc_tensor", "sparse_bsr_tensor", "sparse_compressed_tensor",
        "sparse_coo_tensor", "sparse_csc_tensor", "sparse_csr_tensor", "sspaddmm",
    ), "sparse"),
    **dict.fromkeys((
        "ccol_indices_copy", "col_indices_copy", "crow_indices_copy", "indices_copy",
        "row_indices_copy", "values_copy",
    ), "sparse.methods"),
    "autocast": "amp", "GradScaler": "amp", "get_autocast_dtype": "amp.autocast_mode",
    "is_autocast_enabled": "amp.autocast_mode", "set_autocast_dtype": "amp.autocast_mode",
    **dict.fromkeys((
        "bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window",
    ), "signal.windows"),
    **dict.fromkeys((
        "are_deterministic_algorithms_enabled", "compiled_with_cxx11_abi",
        "get_deterministic_debug_mode", "get_device_module",
        "get_float32_matmul_precision", "get_num_interop_threads",
        "is_deterministic_algorithms_warn_only_enabled", "is_warn_always_enabled",
        "set_deterministic_debug_mode", "set_float32_matmul_precision", "set_flush_denormal",
        "set_num_interop_threads", "set_warn_always", "use_deterministic_algorithms",
    ), "settings"),
    **dict.fromkeys((
        "BFloat16Storage", "BoolStorage", "ByteStorage", "CharStorage", "ComplexDoubleStorage",
        "ComplexFloatStorage", "DoubleStorage", "FloatStorage", "HalfStorage", "IntStorage",
        "LongStorage", "ShortStorage", "Storage", "TypedStorage", "UntypedStorage", "from_file",
    ), "storages"),
    "load": "serialization", "save": "serialization",
    **dict.fromkeys((
        "batch_norm", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "embedding",
        "embedding_bag", "hinge_embedding_loss", "instance_norm", "kl_div",
        "margin_ranking_loss", "poisson_nll_loss", "rrelu_", "triplet_margin_loss",
    ), "nn.functional"),
}
"""Names that PyTorch has here, too, and the submodules that they stand in."""


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Load submodules when they are first named: ``import flambeau`` stays light."""
        if name in _LAZY:
            return importlib.import_module(f"flambeau.{name}")
        if name in _ELSEWHERE:
            found = getattr(importlib.import_module(f"flambeau.{_ELSEWHERE[name]}"), name)
            globals()[name] = found
            return found
        raise AttributeError(f"module 'flambeau' has no attribute '{name}'")
