"""Reductions of runs of a dimension."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flambeau import dtypes
from flambeau.autograd.grad_mode import no_grad
from flambeau.ops.compare import where
from flambeau.ops.create import arange
from flambeau.ops.scatter import scatter_reduce
from flambeau.ops.search import searchsorted
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor

_STARTS: Final = {
    "sum": 0.0, "mean": 0.0, "prod": 1.0, "max": float("-inf"), "min": float("inf")}
_KINDS: Final = {"sum": "sum", "mean": "sum", "prod": "prod", "max": "amax", "min": "amin"}
_NAMES: Final = {"amax": "max", "amin": "min"}


def _samples(make: Make) -> Iterator[Sample]:
    ones = arange(3, device=make().device) * 0 + 1
    for reduce in ("sum", "mean", "prod", "max", "min"):
        yield Sample((make.distinct(6, 2), reduce), {"lengths": ones * 2}, name=reduce)
    yield Sample((make(6, 2), "sum"), {"offsets": ones.cumsum(0) * 3 - 3}, name="offsets")
    yield Sample((make(2, 3), "sum"), {"lengths": ones[:2].unsqueeze(1) * 3, "axis": 1},
                 name="axis")
    yield Sample((make(3), "mean"), {"lengths": ones * 3 * (arange(3, device=ones.device) == 1),
                                     "initial": 2.0}, name="initial")


def _errors(make: Make) -> Iterator[ErrorSample]:
    x = make(3, 2)
    yield error(RuntimeError, "Either lengths or offsets must be defined", x, "sum")
    yield error(RuntimeError, "reduce argument must be", x, "median", lengths=make.index(1, 3))
    yield error(RuntimeError, "Expected all rows of lengths", x, "sum", lengths=make.index(1, 3))


@composite(
    "segment_reduce(Tensor data, str reduce, *, Tensor? lengths=None, Tensor? indices=None, "
    "Tensor? offsets=None, int axis=0, bool unsafe=False, Scalar? initial=None) -> Tensor",
    method=False, samples=_samples, errors=_errors,
)
def segment_reduce(
    data: Tensor, reduce: str, lengths: Any = None, indices: Any = None, offsets: Any = None,
    axis: int = 0, unsafe: bool = False, initial: Any = None,
) -> Tensor:
    """Runs of dimension ``axis`` combined: (*batch, segments, *rest).

    Args:
        reduce: "sum", "mean", "prod", "max" or "min".
        lengths: (*batch, segments), the sizes of the runs; ``batch`` are the dimensions before
            ``axis``.
        offsets: (*batch, segments + 1), where runs begin, in place of ``lengths``.
        unsafe: do not check that the lengths add up to the size of the dimension.
        initial: what each run starts from, and what an empty one gives.
    """
    name = _NAMES.get(reduce, reduce)
    if name not in _STARTS:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if not data.dtype.is_floating_point:
        raise NotImplementedError(f"segment_reduce: not implemented for {data.dtype}")
    with no_grad():
        ends, sizes = _runs(data, lengths, offsets, axis % max(data.ndim, 1), unsafe)
        at = _places(data, ends)
    count, axis = sizes.shape[-1], sizes.ndim - 1
    shape = (*data.shape[:axis], count + 1, *data.shape[axis + 1 :])  # one for what is in no run
    start = data.new_full(shape, _STARTS[name] if initial is None else initial)
    total: Tensor = scatter_reduce(start, axis, at, data, _KINDS[name]).narrow(axis, 0, count)
    if name != "mean":
        return total
    n = sizes.reshape(*sizes.shape, *(1,) * (data.ndim - sizes.ndim)).to(data.dtype)
    return total / (n if initial is None else where(n == 0, 1, n))


def _runs(
    x: Tensor, lengths: Any, offsets: Any, axis: int, unsafe: bool
) -> tuple[Tensor, Tensor]:
    """Where the runs end, and how long they are: (*batch, segments)."""
    given = lengths if lengths is not None else offsets
    if given.dtype not in (dtypes.int32, dtypes.int64):
        raise NotImplementedError(
            f"segment_reduce(): lengths and offsets must be int32 or int64, got {given.dtype}")
    if given.ndim - 1 != axis or tuple(given.shape[:-1]) != tuple(x.shape[:axis]):
        raise RuntimeError(
            f"segment_reduce(): Expected axis to be the last dim of lengths or offsets, of shape "
            f"{list(given.shape)}, and the dimensions before it to be those of data, of shape "
            f"{list(x.shape)}, but got axis {axis}.")
    given = given.long()
    if lengths is None:
        return given[..., 1:], given[..., 1:] - given[..., :-1]
    if not unsafe:
        if bool((given < 0).any()):
            raise RuntimeError("segment_reduce(): lengths contains negative value!")
        if bool((given.sum(-1) != x.shape[axis]).any()):
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to "
                "data.size(lengths.dim()-1) when !unsafe.")
    return given.cumsum(-1), given


def _places(x: Tensor, ends: Tensor) -> Tensor:
    """For each element the number of its run, in the shape of ``x``."""
    axis = ends.ndim - 1
    batch, n = ends.shape[:-1], x.shape[axis]
    position = arange(n, device=x.device).expand(*batch, n).contiguous()
    run = searchsorted(ends.contiguous(), position, right=True)
    result: Tensor = run.reshape(*run.shape, *(1,) * (x.ndim - run.ndim)).expand(x.shape)
    return result
