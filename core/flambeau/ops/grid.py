"""Grids, products and blocks made of several tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flambeau import dtypes
from flambeau.caution import warn
from flambeau.layout import Size
from flambeau.layout import broadcast_shapes as common_shape
from flambeau.ops.join import stack
from flambeau.ops.shape import expand, reshape
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, error, sample
from flambeau.tensor import Tensor


def listed(tensors: tuple[Any, ...]) -> tuple[Any, ...]:
    """Tensors given one by one or as one sequence."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        return tuple(tensors[0])
    return tensors


# ---- broadcasting ------------------------------------------------------------------------------
def broadcast_shapes(*shapes: Any) -> Size:
    """The shape to which shapes (sequences of sizes, or single sizes) broadcast together.

    Raises:
        RuntimeError: if they do not broadcast.
        ValueError: for a negative size.
    """
    given = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    if any(n < 0 for s in given for n in s):
        raise ValueError("Attempting to broadcast a dimension with negative length!")
    try:
        return common_shape(*given)
    except RuntimeError as error:
        raise RuntimeError(
            "Shape mismatch: objects cannot be broadcast to a single shape: "
            f"{', '.join(str(list(s)) for s in given)}") from error


@composite(
    "broadcast_list(Tensor[] tensors) -> Tensor[]", dtypes="all", namespaces=("_internal",),
    method=False, out=False,
    samples=lambda make: iter([
        sample([make(3, 1), make(4)]), sample([make(2, 1, 3), make(1), make()])]),
    errors=lambda make: iter([error(RuntimeError, "must match", [make(3), make(4)])]),
)
def broadcast_list(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Tensors expanded to their common shape; those that have it already are given back."""
    shape = common_shape(*(t.shape for t in tensors))
    return tuple(t if t.shape == shape else expand(t, shape) for t in tensors)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Tensors expanded to their common shape; those that have it already are given back."""
    result: tuple[Tensor, ...] = broadcast_list(listed(tensors))
    return result


# ---- grids -------------------------------------------------------------------------------------
def _meshgrid_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "non-empty", [], indexing="ij")
    yield error(RuntimeError, "0D or 1D", [make(2, 2)], indexing="ij")
    yield error(RuntimeError, "same dtype", [make(2), make.index(3, 2)], indexing="ij")
    yield error(RuntimeError, "one of", [make(2)], indexing="yx")


@composite(
    "meshgrid_list(Tensor[] tensors, *, str? indexing=None) -> Tensor[]", dtypes="all",
    namespaces=("_internal",), method=False, out=False, errors=_meshgrid_errors,
    samples=lambda make: iter([
        sample([make(2), make(3)], indexing="ij"), sample([make(2), make(3)], indexing="xy"),
        sample([make(2), make(), make(4)], indexing="ij")]),
)
def meshgrid_list(tensors: Sequence[Tensor], indexing: str | None = None) -> tuple[Tensor, ...]:
    """Coordinates of a grid: each vector along a dimension of its own, expanded to all."""
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        warn(
            "meshgrid: in an upcoming release, it will be required to pass the indexing argument.")
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(
            f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for t in tensors:
        if t.ndim > 1:
            raise RuntimeError(
                f"meshgrid: Expected 0D or 1D tensor in the tensor list but got: {list(t.shape)}")
        if t.dtype is not tensors[0].dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    swapped = indexing == "xy" and len(tensors) > 1
    order = [tensors[1], tensors[0], *tensors[2:]] if swapped else list(tensors)
    shape = [t.numel() for t in order]
    grids = [
        expand(reshape(t, [-1 if d == i else 1 for d in range(len(shape))]), shape)
        for i, t in enumerate(order)
    ]
    if swapped:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Coordinates of a grid: each vector along a dimension of its own, expanded to all.

    Args:
        indexing: "ij", or "xy" for the first two dimensions exchanged.
    """
    result: tuple[Tensor, ...] = meshgrid_list(listed(tensors), indexing=indexing)
    return result


@composite(
    "cartesian_list(Tensor[] tensors) -> Tensor", dtypes="all", namespaces=("_internal",),
    method=False, out=False,
    samples=lambda make: iter([sample([make(2), make(3)]), sample([make(3)])]),
    errors=lambda make: iter([error(RuntimeError, "1D vector", [make(2, 2)])]),
)
def cartesian_list(tensors: Sequence[Tensor]) -> Tensor:
    """All combinations of an element of each vector, a row each."""
    for t in tensors:
        if t.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    grids = meshgrid_list(tensors, indexing="ij")
    result: Tensor = stack([reshape(g, (-1,)) for g in grids], 1)
    return result


def cartesian_prod(*tensors: Any) -> Tensor:
    """All combinations of an element of each vector, a row each."""
    result: Tensor = cartesian_list(listed(tensors))
    return result


@composite(
    "combinations(Tensor self, int r=2, bool with_replacement=False) -> Tensor", dtypes="all",
    method=False, out=False,
    samples=lambda make: iter([
        sample(make(4)), sample(make(4), 3), sample(make(3), 2, True), sample(make(3), 0),
        sample(make(2), 3)]),
    errors=lambda make: iter([
        error(RuntimeError, "1D vector", make(2, 2)),
        error(RuntimeError, "non-negative", make(2), -1)]),
)
def combinations(self: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of ``r`` elements of a vector in their order, a row each."""
    import itertools

    from flambeau.construct import tensor

    if self.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(self.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return self.new_empty(0)
    choose = itertools.combinations_with_replacement if with_replacement else (
        itertools.combinations)
    chosen = list(choose(range(self.shape[0]), r))
    places = tensor(chosen, dtype=dtypes.int64, device=self.device)
    result: Tensor = self[reshape(places, (-1, r))]
    return result


# ---- blocks ------------------------------------------------------------------------------------
@composite(
    "block_list(Tensor[] tensors) -> Tensor", dtypes="all", namespaces=("_internal",),
    method=False, out=False,
    samples=lambda make: iter([
        sample([make(2, 3), make(), make(2)]), sample([make(0, 2), make(1, 1)])]),
    errors=lambda make: iter([error(RuntimeError, "2 or fewer", [make(2, 2, 2)])]),
)
def block_list(tensors: Sequence[Tensor]) -> Tensor:
    """A matrix with the tensors as blocks on its diagonal, zeros elsewhere."""
    from flambeau.ops.join import cat

    for i, t in enumerate(tensors):
        if t.ndim > 2:
            raise RuntimeError(
                "block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{i} has {t.ndim} dimensions")
    what = dtypes.result_type([(t.dtype, 1, None) for t in tensors])
    blocks = [reshape(t, (1, -1)) if t.ndim < 2 else t for t in tensors]
    width, at, rows = sum(b.shape[1] for b in blocks), 0, []
    for b in blocks:
        height, own = b.shape
        rows.append(cat([
            b.new_zeros((height, at), dtype=what), b.to(what),
            b.new_zeros((height, width - at - own), dtype=what)], 1))
        at += own
    result: Tensor = cat(rows, 0)
    return result


def block_diag(*tensors: Any) -> Tensor:
    """A matrix with the tensors as blocks on its diagonal, zeros elsewhere."""
    from flambeau.ops.create import empty

    given = listed(tensors)
    result: Tensor = block_list(given) if given else empty(1, 0)
    return result
