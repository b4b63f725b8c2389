"""Whether the parts of a sparse tensor fit together: checked on demand, it looks at values."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final

from flambeau.sparse.pattern import Compressed
from flambeau.tensor import Tensor


class _Switch:
    enabled: bool = False


_switch: Final = _Switch()


class check_sparse_tensor_invariants(contextlib.ContextDecorator):
    """Check the parts of sparse tensors that are made in a block, or in a decorated function.

    Args:
        enable: whether they are checked.
    """

    def __init__(self, enable: bool = True) -> None:
        self.state, self._before = enable, False

    @staticmethod
    def is_enabled() -> bool:
        """Whether sparse tensors are checked when they are made."""
        return _switch.enabled

    @staticmethod
    def enable() -> None:
        """Check sparse tensors from now on."""
        _switch.enabled = True

    @staticmethod
    def disable() -> None:
        """Do not check sparse tensors from now on."""
        _switch.enabled = False

    def __enter__(self) -> None:
        self._before, _switch.enabled = _switch.enabled, self.state

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _switch.enabled = self._before


def is_checked(wanted: bool | None) -> bool:
    """Whether a tensor is to be checked, where ``check_invariants=wanted`` was given."""
    return _switch.enabled if wanted is None else wanted


def _demand(fits: bool, what: str) -> None:
    if not fits:
        raise RuntimeError(f"`{what}` is not satisfied.")


def check_coordinates(indices: Tensor, shape: Sequence[int]) -> None:
    """Check coordinates.

    Raises:
        RuntimeError: naming the dimension and the index that is outside.
    """
    if not indices.numel():
        return
    lows, highs = indices.amin(1).tolist(), indices.amax(1).tolist()
    for d, (low, high) in enumerate(zip(lows, highs, strict=True)):
        if low < 0:
            raise RuntimeError(f"found negative index {low} for dim {d}")
        if high >= shape[d]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {d}, size is {shape[d]} but found "
                f"index {high}")


def check_compressed(pattern: Compressed, values: Tensor) -> None:
    """Check the parts of a compressed tensor.

    Raises:
        RuntimeError: with the condition that does not hold.
    """
    rows = pattern.is_by_rows
    starts_name, others_name = (
        ("crow_indices", "col_indices") if rows else ("ccol_indices", "row_indices"))
    b, shape, block = pattern.batch_dim, tuple(pattern.shape), pattern.blocksize
    _demand(pattern.dense_dim >= 0, f"len(size) >= {b} + 2")
    high, wide = shape[b] // block[0], shape[b + 1] // block[1]
    _demand(high * block[0] == shape[b] and wide * block[1] == shape[b + 1],
            f"size is divisible by blocksize {block}")
    lines, width = (high, wide) if rows else (wide, high)
    starts: Any = pattern.starts
    others: Any = pattern.others
    _demand(starts.shape[-1] == lines + 1,
            f"{starts_name}.shape[-1] == {'nrows' if rows else 'ncols'} + 1")
    _demand(values.ndim == b + 1 + 2 * pattern.is_blocked + pattern.dense_dim,
            "values.ndim == 1 + batch, block and dense dimensions")
    _demand(bool((starts[..., 0] == 0).all()), f"{starts_name}[..., 0] == 0")
    _demand(bool((starts[..., -1] == pattern.nnz).all()), f"{starts_name}[..., -1] == nnz")
    sizes = starts[..., 1:] - starts[..., :-1]
    _demand(
        bool(((sizes >= 0) & (sizes <= width)).all()),
        f"0 <= {starts_name}[..., 1:] - {starts_name}[..., :-1] <= {'ncols' if rows else 'nrows'}")
    inside = bool(((others >= 0) & (others < width)).all())
    _demand(inside, f"0 <= {others_name} < {'ncols' if rows else 'nrows'}")
    at = pattern.coordinates
    line, other = (at.indices[-2], at.indices[-1])[:: 1 if rows else -1]
    same = line[1:] == line[:-1]
    if b:
        same = same & (at.indices[:b, 1:] == at.indices[:b, :-1]).all(0)
    _demand(bool((~same | (other[1:] > other[:-1])).all()),
            f"{others_name} is sorted and has no duplicates along the compressed lines")
