"""Order statistics."""

from __future__ import annotations

from typing import Any, Final

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.kernels.sorting import in_rows

kernels = NativeTable()
_LARGE: Final = 256
_KTH, _MEDIAN, _NANMEDIAN = range(3)


def _is_along(x: Any, dim: int) -> bool:
    return bool(x.ndim) and -x.ndim <= dim < x.ndim


@kernels.fresh_form("topk_along", at=_LARGE)
def topk_along(x: Any, k: int, dim: int, largest: bool) -> Any:
    """The k greatest or smallest in order; of equal ones the first."""
    if not _is_along(x, dim) or not 0 < k <= x.shape[dim]:
        return NotImplemented
    few = 4 * k <= x.shape[dim] and x.itemsize <= 4
    return in_rows("fb_first" if few else "fb_sort", x, dim, k, k, largest)


def _rank(x: Any, dim: int, keepdim: bool, k: int, mode: int) -> Any:
    """The element of a rank; wide ones are sorted by the decomposition."""
    if not _is_along(x, dim) or x.itemsize > 4:
        return NotImplemented
    found = in_rows("fb_kth", x, dim, 1, k, mode)
    if found is NotImplemented or keepdim:
        return found
    return tuple(t.squeeze(dim) for t in found)


@kernels.fresh_form("kth_along", at=_LARGE)
def kth_along(x: Any, k: int, dim: int, keepdim: bool) -> Any:
    """The k-th smallest, k from 1."""
    if not _is_along(x, dim) or not 1 <= k <= x.shape[dim]:
        return NotImplemented
    return _rank(x, dim, keepdim, k - 1, _KTH)


@kernels.fresh_form("median_along", at=_LARGE)
def median_along(x: Any, dim: int, keepdim: bool, ignore_nan: bool) -> Any:
    """The lower median; the first NaN, unless ignored."""
    return _rank(x, dim, keepdim, 0, _NANMEDIAN if ignore_nan else _MEDIAN)


@kernels.fresh_form("median_all", at=_LARGE)
def median_all(x: Any, ignore_nan: bool) -> Any:
    """The lower median of all elements."""
    found = median_along(x.reshape(-1), 0, False, ignore_nan)
    return found if found is NotImplemented else found[0]
