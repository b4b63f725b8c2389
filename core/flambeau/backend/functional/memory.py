"""flambeau's memory over arrays that are never changed.

A :class:`Buffer` is a variable: it holds one array, whose elements in row-major order are the
memory, and every write puts another array there.  A :class:`View` is what kernels are given: a
buffer, a dtype and a layout.  It holds no elements, so it never goes stale: whoever reads it after
a write through another view reads what was written.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import Layout, dtypes
from flambeau.backend import dtype as DType
from flambeau.backend.functional.library import Array
from flambeau.backend.functional.pending import Runtime
from flambeau.backend.functional.places import grid_of

Bytes = np.ndarray[Any, Any]


class Buffer:
    """Memory of a fixed size whose content is one array, host bytes, or not yet anything.

    Bytes from the host wait for the first kernel that reads them, which knows their dtype.
    """

    __slots__ = (
        "__weakref__", "array", "dtype", "host", "index", "is_listed", "nbytes", "runtime", "shape",
    )
    array: Array
    dtype: DType | None
    shape: tuple[int, ...]
    host: Bytes | None

    def __init__(self, runtime: Runtime, nbytes: int, index: int) -> None:
        self.runtime, self.nbytes, self.index = runtime, nbytes, index
        self.array = self.dtype = self.host = None
        self.shape, self.is_listed = (), False

    def put(self, array: Array, what: DType, shape: tuple[int, ...]) -> None:
        """Let the content be an array of as many bytes."""
        self.array, self.dtype, self.shape, self.host = array, what, shape, None
        if self.runtime.is_deferred:
            self.runtime.written(self)

    # ---- elements ----------------------------------------------------------------------------
    def read(self, what: DType, layout: Layout) -> Array:
        """The elements that a layout describes, as an array of the layout's shape."""
        shape = layout.shape
        if self.dtype is what and self.shape == shape and (
                layout.is_contiguous and not layout.offset):
            return self.array
        library = self.runtime.library
        if not layout.numel:
            return library.place(library.full(shape, what, 0), self.index)
        flat, count = self._flat(what)
        if not layout.is_contiguous:
            return library.strided(flat, layout)
        if layout.numel != count:
            start = layout.offset
            flat = library.slice(flat, (slice(start, start + layout.numel, 1),))
        return library.reshape(flat, shape)

    def write(self, what: DType, layout: Layout, values: Array) -> None:
        """Replace the elements that a layout describes by an array of its shape and dtype."""
        if not layout.numel:
            return
        library = self.runtime.library
        is_whole = not layout.offset and layout.numel * what.itemsize == self.nbytes
        if is_whole and layout.is_contiguous:
            self.put(values, what, layout.shape)
        elif is_whole and layout.is_dense():
            order = layout.order()[::-1]
            shape = tuple(layout.shape[d] for d in order)
            self.put(library.transpose(values, order), what, shape)
        elif self.nbytes % what.itemsize and self.dtype is not what:
            self._write_on_host(what, layout, values)
        else:
            flat, count = self._flat(what)
            self.put(self._replaced(flat, count, layout, values), what, (count,))

    def _replaced(self, flat: Array, count: int, layout: Layout, values: Array) -> Array:
        """A flat array with the elements that a layout describes replaced."""
        library = self.runtime.library
        if layout.is_contiguous:
            part = (slice(layout.offset, layout.offset + layout.numel, 1),)
            return library.update(flat, part, library.reshape(values, (layout.numel,)))
        grid = grid_of(layout, count)
        if grid is None:
            return library.put(flat, library.places(layout), values)
        sizes = [n for n in layout.shape if n != 1]
        values = library.transpose(library.reshape(values, sizes or (1,)), grid.inverse())
        window = flat if grid.is_whole else library.slice(flat, grid.window)
        window = library.update(library.reshape(window, grid.shape), grid.part, values)
        used = grid.window[0].stop
        window = library.reshape(window, (used,))
        return window if grid.is_whole else library.update(flat, grid.window, window)

    def _flat(self, what: DType) -> tuple[Array, int]:
        """The content as a one-dimensional array of a dtype, and its length.

        Bytes at the end that do not make up an element are left out.
        """
        library, count = self.runtime.library, self.nbytes // what.itemsize
        if self.array is None:
            self._take_shape(what)
        assert self.dtype is not None
        flat = self.array
        if self.dtype is what:
            return (flat if len(self.shape) == 1 else library.reshape(flat, (count,))), count
        held = self.nbytes // self.dtype.itemsize
        flat = library.reshape(flat, (held,))
        fits = count * what.itemsize // self.dtype.itemsize
        if fits != held:
            flat = library.slice(flat, (slice(0, fits, 1),))
        return library.bitcast(flat, what), count

    def _take_shape(self, what: DType) -> None:
        """Make the content an array, of a dtype if the bytes come out even, else of bytes."""
        library = self.runtime.library
        if self.nbytes % what.itemsize:
            what = dtypes.uint8
        count = self.nbytes // what.itemsize
        if self.host is None:  # uninitialised memory has to hold something
            array = library.full((count,), what, 0)
        else:
            array = library.from_host(self.host.view(what.numpy))
        self.put(library.place(array, self.index), what, (count,))

    # ---- bytes -------------------------------------------------------------------------------
    def to_bytes(self, offset: int, nbytes: int) -> Bytes:
        """Some of the content on the host."""
        if not nbytes:
            return np.empty(0, np.uint8)
        if self.host is None and self.array is None:
            return np.zeros(nbytes, np.uint8)
        if self.host is not None:
            return self.host[offset : offset + nbytes]
        assert self.dtype is not None
        library, size, part = self.runtime.library, self.dtype.itemsize, self.array
        if nbytes < self.nbytes and not (offset % size or nbytes % size):
            layout = Layout.of((nbytes // size,), (1,), offset // size)
            return _as_bytes(library.to_host(self.read(self.dtype, layout)))
        return _as_bytes(library.to_host(part))[offset : offset + nbytes]

    def from_bytes(self, offset: int, data: Any) -> None:
        """Replace some of the content by bytes of the host."""
        values = np.frombuffer(data, np.uint8)
        if values.size == self.nbytes:
            content = values.copy()
        else:
            content = self.to_bytes(0, self.nbytes).copy()
            content[offset : offset + values.size] = values
        self.host, self.array, self.dtype, self.shape = content, None, None, ()

    def copy_from(self, offset: int, other: Buffer, start: int, nbytes: int) -> None:
        """Replace some of the content by some of another buffer's."""
        what = other.dtype
        if what is not None and nbytes == self.nbytes == other.nbytes:
            self.put(other.array, what, other.shape)  # arrays do not change: both may hold it
        elif what is None or any(n % what.itemsize for n in (offset, start, nbytes, self.nbytes)):
            self.from_bytes(offset, other.to_bytes(start, nbytes))
        else:
            source, target = (
                Layout.of((nbytes // what.itemsize,), (1,), n // what.itemsize)
                for n in (start, offset)
            )
            self.write(what, target, other.read(what, source))

    def _write_on_host(self, what: DType, layout: Layout, values: Array) -> None:
        """Write elements where the buffer holds no whole number of them."""
        size, content = what.itemsize, self.to_bytes(0, self.nbytes).copy()
        strides = tuple(s * size for s in layout.strides)
        target: Bytes = np.ndarray(
            layout.shape, what.numpy, content, layout.offset * size, strides)
        data = _as_bytes(self.runtime.library.to_host(values))
        target[...] = data.view(what.numpy).reshape(layout.shape)
        self.from_bytes(0, content)


def _as_bytes(values: Any) -> Bytes:
    """What ``to_host`` gave; NumPy has no buffer protocol for the dtypes that others added."""
    if isinstance(values, np.ndarray):
        return np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return np.frombuffer(values, np.uint8)


class View:
    """A tensor as a functional backend sees it."""

    __slots__ = ("buffer", "dtype", "layout")

    def __init__(self, buffer: Buffer, what: DType, layout: Layout) -> None:
        self.buffer, self.dtype, self.layout = buffer, what, layout

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self.layout.shape

    def read(self) -> Array:
        """The elements as an array of the library."""
        return self.buffer.read(self.dtype, self.layout)

    def write(self, values: Array) -> None:
        """Replace the elements; values are converted and broadcast.

        Raises:
            ValueError: or what the library raises for an array of a shape that does not fit.
        """
        library = self.buffer.runtime.library
        if library.dtype_of(values) is not self.dtype:
            values = library.convert(values, self.dtype)
        if tuple(values.shape) != self.layout.shape:
            values = library.broadcast(values, self.layout.shape)
        self.buffer.write(self.dtype, self.layout, values)

    def item(self) -> Any:
        """The only element as a Python number.

        Raises:
            ValueError: if there are several, or none.
        """
        if self.layout.numel != 1:
            raise ValueError(f"a view of {self.layout.numel} elements has no single value")
        data = self.buffer.to_bytes(self.layout.offset * self.dtype.itemsize, self.dtype.itemsize)
        self.buffer.runtime.settle()
        return data.view(self.dtype.numpy)[0].item()

    def __repr__(self) -> str:
        return f"View({self.dtype.name}, {self.layout!r})"
