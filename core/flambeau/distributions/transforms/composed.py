"""Transforms that are made of others."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from math import prod
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.transforms.base import Transform, check_dims
from flambeau.distributions.utils import sum_rightmost
from flambeau.layout import Size


class ComposeTransform(Transform):
    """Transforms one after the other.

    Args:
        parts: in the order in which they are applied.
        cache_size: that the parts get, if not 0.
    """

    def __init__(self, parts: Sequence[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.parts = _with_caches(parts, cache_size)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ComposeTransform) and self.parts == other.parts

    @constraints.dependent_property
    def domain(self) -> Any:
        """The first part's domain, with all the dimensions that some part takes for an event."""
        return _widest([(part.domain, part.codomain) for part in self.parts])

    @constraints.dependent_property
    def codomain(self) -> Any:
        """The last part's codomain, with all the dimensions that a part makes an event."""
        return _widest([(part.codomain, part.domain) for part in reversed(self.parts)])

    @property
    def bijective(self) -> bool:
        """Whether all parts are."""
        return all(part.bijective for part in self.parts)

    @property
    def sign(self) -> Any:
        """The product of the parts' signs."""
        return prod(part.sign for part in self.parts)

    def _make_inverse(self) -> Transform:
        inverse = ComposeTransform([part.inv for part in reversed(self.parts)])
        inverse._inv = weakref.ref(self)
        return inverse

    def with_cache(self, cache_size: int = 1) -> Any:
        """The same transform whose parts have caches of this size."""
        if self._cache_size == cache_size:
            return self
        return ComposeTransform(self.parts, cache_size)

    def __call__(self, x: Any) -> Any:
        """The output at an input: of each part in turn."""
        for part in self.parts:
            x = part(x)
        return x

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        if not self.parts:
            return fb.zeros_like(x)
        values = [x]
        for part in self.parts[:-1]:
            values.append(part(values[-1]))
        values.append(y)
        total: Any = 0
        event_dim = self.domain.event_dim
        for part, before, after in zip(self.parts, values[:-1], values[1:], strict=True):
            change = part.log_abs_det_jacobian(before, after)
            total = total + sum_rightmost(change, event_dim - part.domain.event_dim)
            event_dim += part.codomain.event_dim - part.domain.event_dim
        return total

    def forward_shape(self, shape: Any) -> Size:
        """The shape after the last part."""
        for part in self.parts:
            shape = part.forward_shape(shape)
        return Size(shape)

    def inverse_shape(self, shape: Any) -> Size:
        """The shape before the first part."""
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return Size(shape)

    def __repr__(self) -> str:
        parts = ",\n    ".join(map(repr, self.parts))
        return f"ComposeTransform(\n    {parts}\n)"


def _with_caches(transforms: Sequence[Transform], cache_size: int) -> list[Transform]:
    return [t.with_cache(cache_size) if cache_size else t for t in transforms]


def _widest(ends: list[tuple[Any, Any]]) -> Any:
    """The first constraint, with as many event dimensions as all parts together need there.

    Args:
        ends: of each part, from the side that is asked for: its constraint on this side and on the
            other.
    """
    if not ends:
        return constraints.real
    first = ends[0][0]
    event_dim = 0
    for near, far in reversed(ends):
        event_dim = max(event_dim + near.event_dim - far.event_dim, near.event_dim)
    return _independent(first, event_dim - first.event_dim)


def _independent(constraint: Any, dims: int) -> Any:
    return constraints.independent(constraint, dims) if dims else constraint


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """Takes more dimensions into the event: their volume changes are added up.

    Args:
        reinterpreted_batch_ndims: how many dimensions to take in.
    """

    def __init__(
        self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0
    ) -> None:
        super().__init__(cache_size)
        self.base_transform = base_transform.with_cache(cache_size)
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    def with_cache(self, cache_size: int = 1) -> Any:
        """The same transform whose base has a cache of this size."""
        if self._cache_size == cache_size:
            return self
        return IndependentTransform(
            self.base_transform, self.reinterpreted_batch_ndims, cache_size)

    @constraints.dependent_property
    def domain(self) -> Any:
        """The base's domain with more dimensions."""
        return constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims)

    @constraints.dependent_property
    def codomain(self) -> Any:
        """The base's codomain with more dimensions."""
        return constraints.independent(
            self.base_transform.codomain, self.reinterpreted_batch_ndims)

    @property
    def bijective(self) -> Any:
        """As the base."""
        return self.base_transform.bijective

    @property
    def sign(self) -> Any:
        """The base's."""
        return self.base_transform.sign

    def _call(self, x: Any) -> Any:
        check_dims(x.shape, self.domain.event_dim)
        return self.base_transform(x)

    def _inverse(self, y: Any) -> Any:
        check_dims(y.shape, self.codomain.event_dim)
        return self.base_transform.inv(y)

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        change = self.base_transform.log_abs_det_jacobian(x, y)
        return sum_rightmost(change, self.reinterpreted_batch_ndims)

    def forward_shape(self, shape: Any) -> Size:
        """As the base's."""
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape: Any) -> Size:
        """As the base's."""
        return self.base_transform.inverse_shape(shape)

    def __repr__(self) -> str:
        return f"IndependentTransform({self.base_transform!r}, {self.reinterpreted_batch_ndims})"


class CatTransform(Transform):
    """Different transforms of stretches of a dimension.

    Args:
        tseq: the transforms.
        dim: the dimension.
        lengths: of the stretches, 1 each by default.
    """

    def __init__(
        self, tseq: Sequence[Transform], dim: int = 0, lengths: Sequence[int] | None = None,
        cache_size: int = 0,
    ) -> None:
        _check_transforms(tseq)
        super().__init__(cache_size)
        self.transforms = _with_caches(tseq, cache_size)
        self.lengths = [1] * len(tseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(tseq):
            raise AssertionError(f"lengths ({len(self.lengths)}) must match tseq ({len(tseq)})")
        self.dim = dim

    def with_cache(self, cache_size: int = 1) -> Any:
        """The same transform whose parts have caches of this size."""
        if self._cache_size == cache_size:
            return self
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    @property
    def event_dim(self) -> int:
        """The largest of the parts'."""
        return max(t.event_dim for t in self.transforms)

    @property
    def length(self) -> int:
        """The size of the dimension."""
        return sum(self.lengths)

    @property
    def bijective(self) -> bool:
        """Whether all parts are."""
        return all(t.bijective for t in self.transforms)

    @constraints.dependent_property
    def domain(self) -> Any:
        """Of each stretch, its part's domain."""
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Any:
        """Of each stretch, its part's codomain."""
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)

    def _pieces(self, value: Any) -> Any:
        _check_dimension(value, self.dim, self.length)
        return value.split(self.lengths, self.dim)

    def _call(self, x: Any) -> Any:
        pieces = zip(self.transforms, self._pieces(x), strict=True)
        return fb.cat([t(piece) for t, piece in pieces], self.dim)

    def _inverse(self, y: Any) -> Any:
        pieces = zip(self.transforms, self._pieces(y), strict=True)
        return fb.cat([t.inv(piece) for t, piece in pieces], self.dim)

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        changes = [
            sum_rightmost(t.log_abs_det_jacobian(one, other), self.event_dim - t.event_dim)
            for t, one, other in zip(
                self.transforms, self._pieces(x), self._pieces(y), strict=True)]
        from_end = (self.dim - x.ndim if self.dim >= 0 else self.dim) + self.event_dim
        return fb.cat(changes, from_end) if from_end < 0 else sum(changes)


class StackTransform(Transform):
    """A transform for each entry of a dimension.

    Args:
        tseq: the transforms.
        dim: the dimension.
    """

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        _check_transforms(tseq)
        super().__init__(cache_size)
        self.transforms = _with_caches(tseq, cache_size)
        self.dim = dim

    def with_cache(self, cache_size: int = 1) -> Any:
        """The same transform whose parts have caches of this size."""
        if self._cache_size == cache_size:
            return self
        return StackTransform(self.transforms, self.dim, cache_size)

    @property
    def bijective(self) -> bool:
        """Whether all parts are."""
        return all(t.bijective for t in self.transforms)

    @constraints.dependent_property
    def domain(self) -> Any:
        """Of each entry, its part's domain."""
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Any:
        """Of each entry, its part's codomain."""
        return constraints.stack([t.codomain for t in self.transforms], self.dim)

    def _slices(self, value: Any) -> Any:
        _check_dimension(value, self.dim, len(self.transforms))
        return value.unbind(self.dim)

    def _call(self, x: Any) -> Any:
        slices = zip(self.transforms, self._slices(x), strict=True)
        return fb.stack([t(one) for t, one in slices], self.dim)

    def _inverse(self, y: Any) -> Any:
        slices = zip(self.transforms, self._slices(y), strict=True)
        return fb.stack([t.inv(one) for t, one in slices], self.dim)

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        slices = zip(self.transforms, self._slices(x), self._slices(y), strict=True)
        return fb.stack([t.log_abs_det_jacobian(one, other) for t, one, other in slices], self.dim)


def _check_transforms(transforms: Sequence[Transform]) -> None:
    if not all(isinstance(t, Transform) for t in transforms):
        raise AssertionError("All elements of tseq must be Transform instances")


def _check_dimension(value: Any, dim: int, size: int) -> None:
    """Refuse a value whose dimension is not there, or of another size."""
    if not -value.ndim <= dim < value.ndim:
        raise AssertionError(f"dim {dim} out of range for tensor with {value.ndim} dimensions")
    if value.shape[dim] != size:
        raise AssertionError(f"Size mismatch at dim {dim}: got {value.shape[dim]}, expected {size}")
