"""What a transform is, and its inverse."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterable
from typing import Any

import flambeau as fb
from flambeau.layout import Size
from flambeau.tensor import Tensor


class Transform:
    """A map between constrained spaces, whose volume change is known.

    A subclass has ``_call`` and, where they exist, ``_inverse`` and ``_log_abs_det``, the last of
    which gets the input and the output.

    Args:
        cache_size: 1 keeps the last pair, so that ``t.inv(t(x))`` is ``x`` itself, which saves the
            inverse and its rounding; 0 keeps nothing.

    Attributes:
        domain, codomain: the constraints that inputs and outputs satisfy.
        bijective: whether each output has one input: then ``t.inv(t(x)) == x``.
        sign: +1 or -1 as a bijection between numbers rises or falls.

    Raises:
        ValueError: for another ``cache_size``.
    """

    bijective: Any = False
    domain: Any
    codomain: Any

    def __init__(self, cache_size: int = 0) -> None:
        self._inv: weakref.ref[Any] | None = None
        self._set_cache(cache_size)

    def _set_cache(self, cache_size: int) -> None:
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")
        self._cache_size = cache_size
        self._cached_x_y: tuple[Any, Any] = (None, None)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_inv": None}  # a weak reference can be neither copied nor pickled

    @property
    def event_dim(self) -> int:
        """How many dimensions one event has, if before and after alike.

        Raises:
            ValueError: if not.
        """
        if self.domain.event_dim != self.codomain.event_dim:
            raise ValueError("Please use either .domain.event_dim or .codomain.event_dim")
        return int(self.domain.event_dim)

    @property
    def inv(self) -> Any:
        """The inverse, which shares the cache."""
        inverse = None if self._inv is None else self._inv()
        if inverse is None:
            inverse = self._make_inverse()
            self._inv = weakref.ref(inverse)
        return inverse

    def _make_inverse(self) -> Transform:
        return _InverseTransform(self)

    @property
    def sign(self) -> Any:
        """+1 or -1 as a bijection between numbers rises or falls."""
        raise NotImplementedError(f"{type(self).__name__} has no sign")

    def with_cache(self, cache_size: int = 1) -> Any:
        """The same transform with a cache of this size."""
        if self._cache_size == cache_size:
            return self
        other = copy.copy(self)
        other._set_cache(cache_size)
        return other

    def __eq__(self, other: object) -> bool:
        return self is other

    def __call__(self, x: Tensor) -> Any:
        """The output at an input."""
        if self._cache_size == 0:
            return self._call(x)
        cached_x, cached_y = self._cached_x_y
        if x is cached_x:
            return cached_y
        y = self._call(x)
        self._cached_x_y = x, y
        return y

    def _inv_call(self, y: Tensor) -> Any:
        if self._cache_size == 0:
            return self._inverse(y)
        cached_x, cached_y = self._cached_x_y
        if y is cached_y:
            return cached_x
        x = self._inverse(y)
        self._cached_x_y = x, y
        return x

    def _call(self, x: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no _call")

    def _inverse(self, y: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Any:
        """The logarithm of the volume change, of each event.

        Args:
            x, y: an input and its output.
        """
        return self._log_abs_det(x, y)

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no log_abs_det_jacobian")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def forward_shape(self, shape: Any) -> Size:
        """The shape of the output of an input of some shape."""
        return Size(shape)

    def inverse_shape(self, shape: Any) -> Size:
        """The shape of the input of an output of some shape."""
        return Size(shape)


class _InverseTransform(Transform):
    """The inverse of a transform, which it holds."""

    def __init__(self, transform: Transform) -> None:
        super().__init__(cache_size=transform._cache_size)
        self._forward = transform

    @property
    def domain(self) -> Any:
        return self._forward.codomain

    @property
    def codomain(self) -> Any:
        return self._forward.domain

    @property
    def bijective(self) -> Any:
        return self._forward.bijective

    @property
    def sign(self) -> Any:
        return self._forward.sign

    @property
    def inv(self) -> Any:
        return self._forward

    def with_cache(self, cache_size: int = 1) -> Any:
        return self._forward.with_cache(cache_size).inv

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _InverseTransform) and self._forward == other._forward

    def __repr__(self) -> str:
        return f"_InverseTransform({self._forward!r})"

    def __call__(self, x: Tensor) -> Any:
        return self._forward._inv_call(x)

    def _log_abs_det(self, x: Any, y: Any) -> Any:
        return -self._forward.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Any) -> Size:
        return self._forward.inverse_shape(shape)

    def inverse_shape(self, shape: Any) -> Size:
        return self._forward.forward_shape(shape)


class SameKind(Transform):
    """A transform without parameters: all of a class are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self))


def check_dims(shape: Any, least: int) -> None:
    """Refuse a shape of too few dimensions.

    Raises:
        ValueError: if it has fewer than ``least``.
    """
    if len(shape) < least:
        raise ValueError(f"Too few dimensions on input: {least} or more are needed")


def broadcast_shape(shape: Iterable[int], *parameters: Any) -> Size:
    """The shape of what is computed from a tensor of one shape and parameters."""
    return Size(fb.broadcast_shapes(tuple(shape), *(getattr(p, "shape", ()) for p in parameters)))


def equal_parameters(one: Any, other: Any) -> bool:
    """Whether two parameters, numbers or tensors, are equal throughout."""
    same = one == other
    return bool(same.all()) if isinstance(same, Tensor) else bool(same)
