"""Putting tensors together and taking them apart: views and copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from flambeau import dispatch, dtypes, modes
from flambeau.autograd.node import Node, OutputOf
from flambeau.kind import kind_of
from flambeau.layout import REMEMBERED_VIEWS, Layout, wrap_dim
from flambeau.ops.shape import slice_dim
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor, from_storage


def _is_skipped(t: Tensor) -> bool:
    return t.ndim == 1 and t.shape[0] == 0


def _cat_samples(make: Make) -> Iterator[Sample]:
    yield sample([make(2, 3), make(4, 3)])
    yield sample([make(2, 3), make(2, 1), make(3, 2).t()], 1)
    yield sample([make(2, 3), make(2, 3)], -1)
    yield sample([make(0), make(2, 3)], 0)


def _cat_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "Sizes of tensors must match", [make(2, 3), make(2, 4)])
    yield error((RuntimeError, ValueError), "non-empty", [])  # type: ignore[arg-type]
    yield error(RuntimeError, "zero-dimensional", [make(), make()])


def _cat_back(
    g: Tensor, needs: tuple[bool, ...], tensors: Sequence[Tensor], dim: int
) -> list[Any]:
    kept = [t for t in tensors if not _is_skipped(t)]
    grads: list[Any] = []
    at, axis = 0, wrap_dim(dim, kept[0].ndim) if kept else 0
    for t, need in zip(tensors, needs, strict=True):
        if _is_skipped(t):
            grads.append(t.new_zeros(t.shape) if need else None)
            continue
        size = t.shape[axis]
        grads.append(g.narrow(axis, at, size) if need else None)
        at += size
    return grads


@composite(
    "cat(Tensor[] tensors, int dim=0) -> Tensor", dtypes="all", joint=_cat_back, template="list",
    samples=_cat_samples, errors=_cat_errors,
)
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing dimension, promoted to a common dtype."""
    if not tensors:
        raise ValueError("cat(): expected a non-empty list of Tensors")
    for i, t in enumerate(tensors):
        if t is None:
            raise TypeError(
                f"cat(): expected Tensor as element {i} in argument 0, but got NoneType")
    what = dtypes.result_type([(t.dtype, t.ndim, None) for t in tensors])
    kept = [t for t in tensors if not _is_skipped(t)]
    if not kept:
        return tensors[0].to(what).clone()
    first = kept[0]
    if not first.ndim:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    axis, shape = wrap_dim(dim, first.ndim), list(first.shape)
    shape[axis] = 0
    for i, t in enumerate(kept):
        if t.ndim != first.ndim:
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {first.ndim} and {t.ndim}")
        for d, n in enumerate(t.shape):
            if d != axis and n != shape[d]:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size "
                    f"{shape[d]} but got size {n} for tensor number {i} in the list.")
        if t._kind.device is not first._kind.device:
            raise RuntimeError(
                "cat: Expected all tensors to be on the same device, but found at least two "
                f"devices, {first.device} and {t.device}!")
        shape[axis] += t.shape[axis]
    out = dispatch.empty(kind_of(first._kind.device, what), Layout.contiguous(shape))
    whole, at = out.layout_(), 0
    for t in kept:
        part = whole.slice(axis, at, at + t.shape[axis])
        dispatch.raw_copy(from_storage(out._kind, out.storage_(), part), t)
        at += t.shape[axis]
    return out


def concat(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Another name of ``cat``."""
    result: Tensor = cat(tensors, dim, out=out)
    return result


def _stack_back(g: Tensor, needs: tuple[bool, ...], dim: int) -> list[Any]:
    return [g.select(dim, i) if need else None for i, need in enumerate(needs)]


@composite(
    "stack(Tensor[] tensors, int dim=0) -> Tensor", dtypes="all", joint=_stack_back,
    template="list",
    samples=lambda make: iter([
        sample([make(2, 3), make(2, 3)]), sample([make(2, 3), make(2, 3)], -1),
        sample([make(), make()])]),
    errors=lambda make: iter([
        error(RuntimeError, "equal size", [make(2, 3), make(2, 4)]),
        error(RuntimeError, "non-empty", [])]),
)
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    shape = tensors[0].shape
    for i, t in enumerate(tensors):
        if t.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 "
                f"and {list(t.shape)} at entry {i}")
    result: Tensor = cat([t.unsqueeze(dim) for t in tensors], wrap_dim(dim, len(shape) + 1))
    return result


# ---- taking apart --------------------------------------------------------------------------------
class _PartsNode(Node):
    """The gradient of all parts of a tensor at once: theirs joined, zeros for those without."""

    __slots__ = ("dim", "shapes")
    dim: int
    shapes: list[Any]

    def release(self) -> None:
        """Nothing is held but shapes."""

    def backward(self, g: dict[int, Tensor]) -> tuple[Any, ...]:
        """The joined gradient, from the parts' gradients by position."""
        if len(g) == len(self.shapes):
            return (self.joined([g[i] for i in range(len(g))], self.dim),)
        from flambeau.ops.create import zeros

        one = next(iter(g.values()))
        zero = zeros((), dtype=one.dtype, device=one.device)
        return (self.joined(
            [g[i] if i in g else zero.expand(shape) for i, shape in enumerate(self.shapes)],
            self.dim),)

    def joined(self, grads: list[Tensor], dim: int) -> Tensor:
        """What undoes the taking apart."""
        raise NotImplementedError


class SplitBackward0(_PartsNode):
    """Of consecutive parts."""

    __slots__ = ()

    def joined(self, grads: list[Tensor], dim: int) -> Tensor:
        """One behind the other."""
        return cat(grads, dim)  # type: ignore[no-any-return]


class UnbindBackward0(_PartsNode):
    """Of the indices of a dimension."""

    __slots__ = ()

    def joined(self, grads: list[Tensor], dim: int) -> Tensor:
        """Along a new dimension."""
        return stack(grads, dim)  # type: ignore[no-any-return]


def _recorded_together(
    parts: tuple[Tensor, ...], node: _PartsNode, dim: int
) -> tuple[Tensor, ...]:
    """Views that were recorded each by itself, with one node in place of theirs.

    Each by itself would write its gradient into zeros of the whole size, which are then added.
    """
    if len(parts) < 2 or not parts[0]._requires_grad or parts[0]._fn is None:
        return parts
    first = parts[0]._fn
    node.edges, node.saved, node.versions, node.hooks = first.edges, (), (), None
    node.kind, node.shape = first.kind, first.shape
    node.dim, node.shapes = dim, [t.shape for t in parts]
    for i, t in enumerate(parts):
        t._fn = OutputOf.make(node, i, t)
    return parts


def _split_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(7, 3), 3)
    yield sample(make(7, 3), [2, 5])
    yield sample(make(3, 6), 2, 1)


@composite(
    "split(Tensor self, int[] split_size_or_sections, int dim=0) -> Tensor[]", dtypes="all",
    samples=_split_samples, out=False, template="front",
    errors=lambda make: iter([error(RuntimeError, "sum exactly", make(7, 3), [2, 4])]),
)
def split(self: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive parts: of one size (the last may be smaller), or of sizes given."""
    dim = wrap_dim(dim, self.ndim)
    sections = split_size_or_sections
    if not isinstance(sections, int):
        sections = tuple(map(int, sections))
    if _has_history(self):
        parts = tuple(
            slice_dim(self, dim, *span) for span in _spans(self.shape[dim], dim, sections))
        return _recorded_together(parts, SplitBackward0(), dim)
    return _views(self, ("split", dim, sections), lambda held: [
        held.slice(dim, *span) for span in _spans(held.shape[dim], dim, sections)])


def _spans(size: int, dim: int, sections: int | tuple[int, ...]) -> list[tuple[int, int]]:
    """Where the parts of a dimension start and stop.

    Raises:
        RuntimeError: for parts that do not make up the dimension.
    """
    if isinstance(sections, int):
        if sections < 0 or (sections == 0 and size):
            raise RuntimeError(
                f"split expects split_size be non-negative, but got split_size={sections}")
        starts = range(0, size, sections) if size else (0,)
        return [(start, min(start + sections, size)) for start in starts]
    if sum(sections) != size or any(n < 0 for n in sections):
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {size} (input tensor's "
            f"size at dimension {dim}), but got split_sizes={list(sections)}")
    return [(stop - n, stop) for n, stop in zip(sections, accumulate(sections), strict=True)]


def _has_history(self: Tensor) -> bool:
    """Whether views of a tensor are more than layouts: autograd records them, a mode sees them."""
    base = self if self._base is None else self._base
    return base._requires_grad or modes.is_watched(self)


def _views(
    self: Tensor, key: tuple[Any, ...], parts: Callable[[Layout], list[Layout]]
) -> tuple[Tensor, ...]:
    """Views of all parts of a tensor that has no history.

    Args:
        key: by which the layouts of the parts are remembered.
    """
    held = self.layout_()
    layouts: list[Layout] | None = held.memo[key]
    if layouts is None:
        layouts = parts(held.at(0))
        if len(layouts) <= REMEMBERED_VIEWS:
            held.memo.remember(key, layouts)
    if held.offset:
        layouts = [layout.at(held.offset + layout.offset) for layout in layouts]
    kind, storage = self._kind, self.storage_()
    base = self if self._base is None else self._base
    views = [from_storage(kind, storage, layout) for layout in layouts]
    for view in views:
        view._base, view._seen = base, storage.version
    return tuple(views)


@composite(
    "chunk(Tensor self, int chunks, int dim=0) -> Tensor[]", dtypes="all", out=False,
    template="front",
    samples=lambda make: iter([sample(make(7, 3), 3), sample(make(4, 6), 2, -1)]),
    errors=lambda make: iter([error(RuntimeError, "greater than 0", make(3), 0)]),
)
def chunk(self: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` views of consecutive parts of equal size, the last may be smaller."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim = wrap_dim(dim, self.ndim)
    size = self.shape[dim]
    step = -(-size // chunks)
    if not step:
        return tuple(self.narrow(dim, 0, 0) for _ in range(chunks))
    result: tuple[Tensor, ...] = split(self, step, dim)
    return result


@composite(
    "unbind(Tensor self, int dim=0) -> Tensor[]", dtypes="all", out=False, template="front",
    samples=lambda make: iter([sample(make(3, 2)), sample(make(3, 2), 1)]),
    errors=lambda make: iter([error(IndexError, "tensor has no dimensions", make(), 0)]),
)
def unbind(self: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of all indices of a dimension."""
    if not self.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    dim = wrap_dim(dim, self.ndim)
    size = self.shape[dim]
    if _has_history(self):
        parts = tuple(self.select(dim, i) for i in range(size))
        return _recorded_together(parts, UnbindBackward0(), dim)
    return _views(self, ("unbind", dim), lambda held: [held.select(dim, i) for i in range(size)])
