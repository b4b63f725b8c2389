"""Sums, means or maxima of rows of a table, a bag of indices at a time."""

from __future__ import annotations

from collections.abc import Iterator

from flambeau.ops.compare import where
from flambeau.ops.create import arange
from flambeau.ops.embedding import embedding
from flambeau.ops.index_dim import index_add
from flambeau.ops.join import cat
from flambeau.ops.rearrange import repeat_interleave
from flambeau.ops.scatter import scatter_reduce
from flambeau.ops.shape import expand, reshape
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor

_NAME = "embedding_bag"


def _samples(make: Make) -> Iterator[Sample]:
    offsets = make.index(1, 3) + arange(3, device=make().device) * 2
    for mode in ("sum", "mean", "max"):
        yield Sample((make.index(5, 3, 4), make(5, 2)), {"mode": mode}, name=f"{mode}_2d")
        yield Sample((make.index(5, 6), make.distinct(5, 2), offsets), {"mode": mode},
                     name=f"{mode}_offsets")
        yield Sample((make.index(5, 6), make(5, 2, requires_grad=False), offsets),
                     {"mode": mode, "padding_idx": 1}, name=f"{mode}_padding")
    yield Sample((make.index(5, 6), make(5, 2), offsets),
                 {"mode": "sum", "per_sample_weights": make(6)}, name="weights")


def _errors(make: Make) -> Iterator[ErrorSample]:
    yield error(ValueError, "mode has to be", make.index(5, 2, 2), make(5, 2), mode="min")
    yield error(ValueError, "offsets has to be a 1D", make.index(5, 4), make(5, 2))
    yield error(ValueError, "offsets has to be None", make.index(5, 2, 2), make(5, 2),
                make.index(1, 1))
    yield error(RuntimeError, "has to be 0", make.index(5, 4), make(5, 2), make.index(1, 1) + 1)
    yield error(RuntimeError, "greater than input's length", make.index(5, 2), make(5, 2),
                arange(2, device=make().device) * 3)
    yield error(NotImplementedError, "only supported for mode='sum'", make.index(5, 2, 2),
                make(5, 2), per_sample_weights=make(2, 2))


def _bags(input: Tensor, offsets: Tensor, include_last_offset: bool) -> tuple[Tensor, int]:
    """Which bag each index belongs to, and how many bags there are."""
    count = offsets.shape[0] - int(include_last_offset)
    n = input.shape[0]
    if offsets.numel():
        if int(offsets[0]) != 0:
            raise RuntimeError(
                "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start "
                f"from position 0. However, got {int(offsets[0])}")
        if int(offsets[-1]) > n:
            raise RuntimeError(
                f"offsets[-1] can not be greater than input's length {n} but got offsets[-1] of "
                f"{int(offsets[-1])}")
    ends = cat([offsets[1 : count + 1], offsets.new_full((1,), n)])[:count]
    sizes = ends - offsets[:count]
    bags = arange(count, device=input.device)
    used: Tensor = repeat_interleave(bags, sizes.long()) if count != 1 else bags.expand(
        int(sizes[0]))
    return used, count


def _check(
    input: Tensor, weight: Tensor, offsets: Tensor | None, mode: str, weights: Tensor | None
) -> None:
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if weights is not None and weights.shape != input.shape:
        raise ValueError(
            f"{_NAME}: If per_sample_weights ({list(weights.shape)}) is not None, then it must "
            f"have the same shape as the input ({list(input.shape)})")
    if weights is not None and mode != "sum":
        raise NotImplementedError(
            f"{_NAME}: per_sample_weights was not None. per_sample_weights is only supported for "
            f"mode='sum' (got mode='{mode}').")
    if weight.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if input.ndim == 2 and offsets is not None:
        raise ValueError(
            "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of "
            "fixed length sequences. However, found offsets of type "
            f"{type(offsets).__name__}")
    if input.ndim == 1 and (offsets is None or offsets.ndim != 1):
        raise ValueError(f"offsets has to be a 1D Tensor but got {offsets}")
    if input.ndim not in (1, 2):
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")


@composite(
    "embedding_bag(Tensor input, Tensor weight, Tensor? offsets=None, float? max_norm=None, "
    "float norm_type=2.0, bool scale_grad_by_freq=False, str mode='mean', bool sparse=False, "
    "Tensor? per_sample_weights=None, bool include_last_offset=False, int? padding_idx=None) "
    "-> Tensor",
    namespaces=("nn.functional",), method=False, out=False, samples=_samples, errors=_errors,
)
def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean",
    sparse: bool = False, per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:
    """Rows of ``weight`` (entries, width), combined bag by bag: (bags, width).

    Args:
        input: indices (bags, n), or one vector of all indices with ``offsets``.
        offsets: where in the vector each bag begins.
        mode: "sum", "mean" or "max"; an empty bag gives zeros.
        per_sample_weights: factors of the rows, only for "sum".
        include_last_offset: the last offset is the end of the last bag.
        padding_idx: an index that takes no part.
        sparse: the gradient of ``weight`` is a sparse tensor that holds only the rows in use.
    """
    _check(input, weight, offsets, mode, per_sample_weights)
    if input.ndim == 2:
        count, n = input.shape
        bag = reshape(arange(count, device=input.device).unsqueeze(1).expand(count, n), (-1,))
    else:
        assert offsets is not None
        bag, count = _bags(input, offsets, include_last_offset)
    flat = reshape(input, (-1,))
    if bag.shape[0] < flat.shape[0]:  # what lies behind the last offset belongs to no bag
        flat = flat.narrow(0, 0, bag.shape[0])
    rows = embedding(
        flat, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    used = None if padding_idx is None else flat != padding_idx % weight.shape[0]
    result: Tensor
    if mode == "max":
        result = _greatest(rows, bag, count, used)
    else:
        result = _summed(rows, bag, count, used, per_sample_weights, mode)
    return result


def _summed(
    rows: Tensor, bag: Tensor, count: int, used: Tensor | None, weights: Tensor | None, mode: str
) -> Tensor:
    if weights is not None:
        rows = rows * reshape(weights, (-1,))[: rows.shape[0]].unsqueeze(1)
    if used is not None:
        rows = where(used.unsqueeze(1), rows, 0)
    zeros = rows.new_zeros((count, rows.shape[1]))
    total: Tensor = index_add(zeros, 0, bag, rows)
    if mode == "sum":
        return total
    ones = rows.new_ones(bag.shape) if used is None else used.to(rows.dtype)
    sizes = index_add(rows.new_zeros(count), 0, bag, ones)
    mean: Tensor = total / where(sizes == 0, 1, sizes).unsqueeze(1)
    return mean


def _greatest(rows: Tensor, bag: Tensor, count: int, used: Tensor | None) -> Tensor:
    if used is not None:  # padding goes to an extra bag
        bag = where(used, bag, count)
    at = expand(bag.unsqueeze(1), rows.shape)
    zeros = rows.new_zeros((count + 1, rows.shape[1]))
    best: Tensor = scatter_reduce(zeros, 0, at, rows, "amax", include_self=False)
    return best.narrow(0, 0, count)
