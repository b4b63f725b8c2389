"""Rows of a table by index: embedding, bags of them, and one-hot vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.autograd.grad_mode import MODE, no_grad
from flambeau.modes import every_sample
from flambeau.ops.compare import where
from flambeau.ops.create import arange
from flambeau.ops.index_dim import index_add, index_select
from flambeau.ops.shape import reshape
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _embedding_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make.index(5, 2, 3), make(5, 4)), name="2d")
    yield Sample((make.index(5, 7), make(5, 4)), name="1d")
    yield Sample((make.index(5), make(5, 4)), name="0d")
    # These two define a gradient that is not the derivative: none is to be compared.
    plain = make(5, 4, requires_grad=False)
    yield Sample((make.index(5, 7), plain, 2), name="padding")
    yield Sample((make.index(5, 7), plain), {"scale_grad_by_freq": True}, name="scaled")
    yield Sample((make.index(5, 0), make(5, 4)), name="empty")


def _embedding_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(IndexError, "out of range", make.index(1, 2) + 5, make(5, 4))
    yield error(RuntimeError, "int64", make(2), make(5, 4))
    yield error(RuntimeError, "2-D", make.index(5, 2), make(5))


def _embedding_back(
    g: Tensor, needs: tuple[bool, ...], weight_shape: Any, input: Tensor, padding_idx: int,
    scale_grad_by_freq: bool,
) -> tuple[Any, ...]:
    return None, embedding_dense_backward(
        g, input, weight_shape[0], padding_idx, scale_grad_by_freq)


@composite(
    "embedding_rows(Tensor input, Tensor weight, int padding_idx=-1, "
    "bool scale_grad_by_freq=False) -> Tensor",
    namespaces=("_internal",), method=False, out=False, joint=_embedding_back, template="fused",
    samples=_embedding_samples, errors=_embedding_errors,
)
def embedding_rows(
    input: Tensor, weight: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False
) -> Tensor:
    """Rows of ``weight`` (entries, width) at the indices ``input``: shape (*input, width)."""
    if weight.ndim != 2:
        raise RuntimeError(f"embedding(): 'weight' must be 2-D, got shape {list(weight.shape)}")
    if input.dtype is not dtypes.int64 and input.dtype is not dtypes.int32:
        raise RuntimeError(
            "embedding(): Expected 'indices' of dtype int64 or int32, got "
            f"{input.dtype.name}. Convert it with .long().")
    rows = index_select(weight, 0, reshape(input, (-1,)))
    result: Tensor = reshape(rows, (*input.shape, weight.shape[1]))
    return result


@composite(
    "embedding_dense_backward(Tensor grad_output, Tensor indices, int num_weights, "
    "int padding_idx, bool scale_grad_by_freq) -> Tensor",
    namespaces=("_internal",), method=False, out=False, template="fused",
    samples=lambda make: iter([
        sample(make(2, 3, 4), make.index(5, 2, 3), 5, -1, False),
        sample(make(6, 4), make.index(5, 6), 5, 2, False),
        sample(make(6, 4), make.index(5, 6), 5, -1, True)]),
)
def embedding_dense_backward(
    grad_output: Tensor, indices: Tensor, num_weights: int, padding_idx: int,
    scale_grad_by_freq: bool,
) -> Tensor:
    """The gradient of an embedding's table: rows of the output's gradient summed by index.

    Args:
        padding_idx: the row whose gradient stays 0; -1 for none.
        scale_grad_by_freq: divide each row's gradient by how often its index occurs.
    """
    width = grad_output.shape[-1]
    rows, at = reshape(grad_output, (-1, width)), reshape(indices, (-1,)).long()
    if scale_grad_by_freq:
        ones = rows.new_ones(at.shape)
        counts = index_add(rows.new_zeros(num_weights), 0, at, ones)
        rows = rows / index_select(counts, 0, at).unsqueeze(1)
    if padding_idx >= 0:
        rows = where((at == padding_idx).unsqueeze(1), 0, rows)
    result: Tensor = index_add(rows.new_zeros(num_weights, width), 0, at, rows)
    return result


def _find_padding(name: str, padding_idx: int | None, entries: int) -> int:
    """The padding row counted from the front, -1 for none."""
    if padding_idx is None:
        return -1
    if not -entries <= padding_idx < entries:
        raise AssertionError(f"{name}(): padding_idx must be within num_embeddings ({entries})")
    return padding_idx % entries


def _renormalize(input: Tensor, weight: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale down in place the rows in use whose norm is greater than ``max_norm``."""
    with no_grad():
        used = input.reshape(-1)  # a row named twice is written twice, with equal values
        rows = weight[used]
        norms = (rows.abs() ** norm_type).sum(1, keepdim=True) ** (1.0 / norm_type)
        weight[used] = where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows)


@composite(
    "embedding(Tensor input, Tensor weight, int? padding_idx=None, float? max_norm=None, "
    "float norm_type=2.0, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False, samples=_embedding_samples,
    template="front", errors=lambda make: iter([
        *_embedding_errors(make),
        error(AssertionError, "padding_idx", make.index(5, 2), make(5, 4), 5)]),
)
def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:
    """Rows of ``weight`` (entries, width) at the indices ``input``: shape (*input, width).

    Args:
        padding_idx: a row that receives no gradient.
        max_norm: rows in use with a greater norm are scaled down to it first, in place.
        scale_grad_by_freq: divide gradients by how often an index occurs.
        sparse: the gradient of ``weight`` is a sparse tensor that holds only the rows in use.
    """
    padding = _find_padding("embedding", padding_idx, weight.shape[0]) if weight.ndim else -1
    if max_norm is not None:
        _renormalize(input, weight, max_norm, norm_type)
    result: Tensor
    if sparse and MODE.enabled and weight.requires_grad:
        from flambeau.sparse.rows import SparseEmbedding

        result = SparseEmbedding.apply(weight, input, padding, scale_grad_by_freq)
    else:
        result = embedding_rows(input, weight, padding, scale_grad_by_freq)
    return result


# ---- one-hot -----------------------------------------------------------------------------------
@composite(
    "one_hot(Tensor input, int num_classes=-1) -> Tensor", namespaces=("nn.functional",),
    method=False, out=False, dtypes="none",
    samples=lambda make: iter([
        sample(make.index(4, 2, 3)), sample(make.index(4, 5), 6), sample(make.index(4), 4)]),
    errors=lambda make: iter([
        error(RuntimeError, "non-negative", make.index(2, 3) - 2),
        error(RuntimeError, "smaller than num_classes", make.index(1, 3) + 4, 3),
        error(RuntimeError, "int64", make(3))]),
)
def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """A new last dimension with 1 at the index and 0 elsewhere, int64.

    Args:
        num_classes: its size; one more than the greatest index if -1.
    """
    if input.dtype is not dtypes.int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type int64, got {input.dtype.name}.")
    if not input.numel() and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if input.numel():
        seen = every_sample(input)
        low, high = int(seen.amin()), int(seen.amax())
        if low < 0:
            raise RuntimeError("Class values must be non-negative.")
        if num_classes == -1:
            num_classes = high + 1
        elif num_classes < 1:
            raise RuntimeError("num_classes should be positive")
        elif high >= num_classes:
            raise RuntimeError("Class values must be smaller than num_classes.")
    classes = arange(num_classes, device=input.device)
    result: Tensor = (input.unsqueeze(-1) == classes).long()
    return result
