"""A hash of the elements of a tensor: all their bits together."""

from __future__ import annotations

from typing import Any

from flambeau import dtypes
from flambeau.layout import wrap_dims
from flambeau.ops.axes import movedim
from flambeau.ops.join import cat
from flambeau.ops.shape import reshape, unsqueeze
from flambeau.registry import composite
from flambeau.samples import error, sample
from flambeau.tensor import Tensor


@composite(
    "hash_bits(Tensor self, int[] dim, bool keepdim=False) -> Tensor", dtypes="integral",
    namespaces=("_internal",), method=False, out=False,
    samples=lambda make: iter([
        sample(make(3, 4), (0, 1)), sample(make(3, 5), 1), sample(make(), ()),
        sample(make(2, 3, 2), (0, 2)), sample(make(0, 4), 1), sample(make(3, 5), 0, True)]),
    errors=lambda make: iter([
        error(IndexError, "non-zero size", make(3, 0), 1),
        error(IndexError, "out of range", make(2), 3)]),
)
def hash_bits(self: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """The exclusive or of the elements as 64 bits each over some dimensions, as int64.

    Integers are taken as int64, floats as float64; -0.0 and 0.0 differ.
    """
    bits = self.double().view(dtypes.int64) if self.dtype.is_floating_point else self.long()
    dims = sorted(wrap_dims((dim,) if isinstance(dim, int) else dim, self.ndim))
    for d in dims:
        if not self.shape[d]:
            raise IndexError(f"hash_tensor: Expected reduction dim {d} to have non-zero size.")
    rest = [n for d, n in enumerate(self.shape) if d not in dims]
    last = movedim(bits, dims, list(range(-len(dims), 0))) if dims else bits
    result: Tensor = _combined(reshape(last, (*rest, _count(self, dims))))
    if keepdim:
        for d in dims:
            result = unsqueeze(result, d)
    return result


def hash_tensor(
    input: Tensor, dim: Any = (), *, keepdim: bool = False, mode: int = 0, out: Any = None
) -> Tensor:
    """The exclusive or of the elements as 64 bits each, as uint64.

    Integers are taken as int64, floats as float64; -0.0 and 0.0 differ.

    Args:
        dim: the dimensions to combine; all if there are none.
        mode: 0; there is no other.

    Raises:
        RuntimeError: for another mode, or all elements of an empty tensor.
    """
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    if input.dtype.is_complex:
        raise NotImplementedError(f"hash_tensor: not implemented for {input.dtype}")
    dims = (dim,) if isinstance(dim, int) else tuple(dim or ())
    if not dims and not input.numel():
        raise RuntimeError(
            "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. Specify "
            "the reduction dim with the 'dim' argument.")
    bits: Any = hash_bits(input, dims or tuple(range(input.ndim)), keepdim)
    result: Tensor = bits.view(dtypes.uint64)
    return result if out is None else out.resize_(result.shape).copy_(result)


setattr(Tensor, "hash_tensor", hash_tensor)  # noqa: B010


def _count(x: Tensor, dims: list[int]) -> int:
    n = 1
    for d in dims:
        n *= x.shape[d]
    return n


def _combined(rows: Any) -> Any:
    """The exclusive or along the last dimension, half of it with the other half at a time."""
    while (n := rows.shape[-1]) > 1:
        half = n // 2
        folded = rows.narrow(-1, 0, half) ^ rows.narrow(-1, half, half)
        rows = cat([folded, rows.narrow(-1, 2 * half, 1)], -1) if n % 2 else folded
    return rows.squeeze(-1)
