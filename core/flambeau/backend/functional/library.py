"""What the adapter asks of an array library: a dozen functions, each one line in most libraries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from flambeau.backend import BackendError, Layout, dtype
from flambeau.backend.functional.places import gather_places, grid_of

Array = Any
"""An array of the library.  It is never changed, so it may stand in several buffers at once."""
Number = bool | int | float | complex


class ArrayLibrary(ABC):
    """Arrays that are never changed: what changes them returns a new one.

    Arrays are row-major as far as their author can tell: ``reshape`` keeps the order of elements.
    """

    is_deferred: ClassVar[bool] = False
    """Whether results may not have been computed yet when a function returns."""

    # ---- required ----------------------------------------------------------------------------
    @abstractmethod
    def from_host(self, values: np.ndarray[Any, Any]) -> Array:
        """A copy of a row-major host array."""

    @abstractmethod
    def to_host(self, array: Array) -> Any:
        """The elements on the host: a NumPy array, or a row-major buffer; waits for them."""

    @abstractmethod
    def dtype_of(self, array: Array) -> dtype:
        """The element type."""

    @abstractmethod
    def full(self, shape: Sequence[int], what: dtype, value: Number) -> Array:
        """An array of one number."""

    @abstractmethod
    def reshape(self, array: Array, shape: Sequence[int]) -> Array:
        """The same elements in the same order in another shape."""

    @abstractmethod
    def transpose(self, array: Array, axes: Sequence[int]) -> Array:
        """The dimensions in another order."""

    @abstractmethod
    def broadcast(self, array: Array, shape: Sequence[int]) -> Array:
        """Dimensions of size 1 repeated."""

    @abstractmethod
    def convert(self, array: Array, what: dtype) -> Array:
        """The values in another element type, as C casts them."""

    @abstractmethod
    def update(self, array: Array, part: tuple[slice, ...], values: Array) -> Array:
        """A copy with a part replaced; slices have a positive start, stop and step."""

    @abstractmethod
    def take(self, flat: Array, places: Array) -> Array:
        """Elements of a one-dimensional array, in the shape of ``places`` (int64)."""

    @abstractmethod
    def put(self, flat: Array, places: Array, values: Array) -> Array:
        """A copy of a one-dimensional array with the elements at ``places`` replaced."""

    # ---- optional ----------------------------------------------------------------------------
    def bitcast(self, flat: Array, what: dtype) -> Array:
        """The bytes of a one-dimensional array as another element type.

        Raises:
            BackendError: if the library cannot do it.
        """
        raise BackendError(
            f"this device cannot reinterpret {self.dtype_of(flat).name} as {what.name}: its array "
            "library has no cast of bits; use .to(dtype) for a conversion of values")

    def slice(self, array: Array, part: tuple[slice, ...]) -> Array:
        """A part of an array."""
        return array[part]

    def strided(self, flat: Array, layout: Layout) -> Array:
        """The elements that a layout describes of a one-dimensional array, not all in order.

        Libraries with a function for it (``as_strided``) override this.
        """
        compact = layout_without_repeats(layout)
        grid = grid_of(compact, flat.shape[0])
        if grid is None:
            found = self.take(flat, self.places(compact))
        else:
            found = self.slice(self.reshape(self.slice(flat, grid.window), grid.shape), grid.part)
            found = self.transpose(self.reshape(found, grid.sizes), grid.order)
        found = self.reshape(found, compact.shape)
        return found if compact is layout else self.broadcast(found, layout.shape)

    def place(self, array: Array, index: int) -> Array:
        """The array on a device, given one on the library's default device."""
        return array

    def start(self, arrays: list[Array]) -> None:
        """Begin to compute arrays, without waiting if the library can."""

    def wait(self, arrays: list[Array]) -> None:
        """Compute arrays, and wait until all work is done."""

    # ---- shared ------------------------------------------------------------------------------
    def places(self, layout: Layout) -> Array:
        """Where the elements of a layout lie, as an index array of its shape."""
        return self.from_host(gather_places(layout))


def layout_without_repeats(layout: Layout) -> Layout:
    """A layout with its repeated dimensions (stride 0) once."""
    if 0 not in layout.strides:
        return layout
    sizes = [n if s else 1 for n, s in zip(layout.shape, layout.strides, strict=True)]
    return Layout.of(sizes, layout.strides, layout.offset)
