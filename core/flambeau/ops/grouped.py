"""Matrix products of groups of rows or columns, as mixtures of experts use them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from flambeau.ops.join import cat, stack
from flambeau.ops.matmul import bmm, matmul
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Sample
from flambeau.tensor import Tensor


def _samples(make: Any) -> Any:
    ends = make.index(1, 2).int() + 2
    ends = ends.cumsum(0).int()  # 2, 4
    yield Sample((make(2, 3, 4), make(2, 4, 5)), name="3d_3d")
    yield Sample((make(4, 3), make(2, 3, 5)), {"offs": ends}, name="2d_3d")
    yield Sample((make(2, 3, 4), make(4, 4)), {"offs": ends}, name="3d_2d")
    yield Sample((make(3, 4), make(4, 5)), {"offs": ends}, name="2d_2d")


@composite(
    "grouped_mm(Tensor mat_a, Tensor mat_b, *, Tensor? offs=None, Tensor? bias=None, "
    "dtype? out_dtype=None) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False, samples=_samples,
    errors=lambda make: iter([
        ErrorSample((make(3, 4), make(4, 5)), {}, RuntimeError, "offs"),
        ErrorSample((make(4), make(4, 5)), {}, RuntimeError, "2 or 3 dimensions"),
        ErrorSample((make(2, 3, 4), make(2, 3, 5)), {}, RuntimeError, "contraction")]),
)
def grouped_mm(
    mat_a: Tensor, mat_b: Tensor, offs: Tensor | None = None, bias: Tensor | None = None,
    out_dtype: Any = None,
) -> Tensor:
    """One matrix product per group.

    Of two 3-d tensors a group is a matrix of each.  A 2-d tensor is cut in groups at ``offs``:
    the rows of ``mat_a`` or the columns of ``mat_b`` if the other is 3-d, else the dimension that
    is summed over, and the products are the matrices of a 3-d result.

    Args:
        offs: (groups,), where each group ends; what lies behind the last gives zeros.
        bias: added to the result.
    """
    if mat_a.ndim not in (2, 3) or mat_b.ndim not in (2, 3):
        raise RuntimeError(
            f"grouped_mm: expected tensors of 2 or 3 dimensions, got {mat_a.ndim} and {mat_b.ndim}")
    if mat_a.shape[-1] != mat_b.shape[-2]:
        raise RuntimeError(
            "grouped_mm: contraction dimension of mat_a and mat_b must match, got "
            f"{list(mat_a.shape)} and {list(mat_b.shape)}")
    is_cut = mat_a.ndim == 2 or mat_b.ndim == 2
    if is_cut is (offs is None):
        raise RuntimeError("grouped_mm: offs must be given if, and only if, a tensor is 2-d")
    result = bmm(mat_a, mat_b) if offs is None else _cut(mat_a, mat_b, [0, *offs.tolist()])
    if bias is not None:
        result = result + bias
    return result if out_dtype is None else result.to(out_dtype)  # type: ignore[no-any-return]


def _cut(a: Tensor, b: Tensor, at: list[int]) -> Any:
    runs = [(begin, end - begin) for begin, end in pairwise(at)]
    if a.ndim == b.ndim:
        return stack([matmul(a.narrow(1, *run), b.narrow(0, *run)) for run in runs])
    groups = b.shape[0] if a.ndim == 2 else a.shape[0]
    if groups != len(runs):
        raise RuntimeError(f"grouped_mm: {len(runs)} offsets for {groups} groups")
    if a.ndim == 2:
        parts = [matmul(a.narrow(0, *run), b[i]) for i, run in enumerate(runs)]
        return cat([*parts, parts[0].new_zeros(a.shape[0] - at[-1], b.shape[2])])
    parts = [matmul(a[i], b.narrow(1, *run)) for i, run in enumerate(runs)]
    return cat([*parts, parts[0].new_zeros(a.shape[1], b.shape[1] - at[-1])], 1)
