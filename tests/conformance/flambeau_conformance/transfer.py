"""Tensors between the host, the oracle and the device under test, without any kernel.

Only ``alloc``, ``copy_in`` and ``copy_out`` are used: storages travel as they are, and strides,
offsets and sharing with them.  So a broken kernel fails at its own test and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from flambeau.device import device
from flambeau.dtypes import dtype
from flambeau.kind import Kind, kind_of
from flambeau.layout import Layout
from flambeau.storage import Storage
from flambeau.tensor import Tensor, from_storage

Array = np.ndarray[Any, Any]


def storage_array(t: Tensor) -> Array:
    """All elements of a tensor's storage, one-dimensional, on the host."""
    storage, what = t.storage_(), t.dtype
    count = storage.nbytes // what.itemsize
    if not count:
        return np.empty(0, what.numpy)
    index = storage.device.index or 0
    data = storage.backend.copy_out(storage.buffer, 0, count * what.itemsize, index)
    return np.frombuffer(bytes(data), what.numpy)


def arranged(elements: Array, layout: Layout) -> Array:
    """The array that a layout describes over the elements of a storage."""
    if not layout.numel:
        return np.empty(tuple(layout.shape), elements.dtype)
    strides = tuple(s * elements.itemsize for s in layout.strides)
    return np.lib.stride_tricks.as_strided(
        elements[layout.offset :], tuple(layout.shape), strides, writeable=False
    )


def to_host(t: Tensor) -> Array:
    """The elements of a tensor on any device, copied."""
    return arranged(storage_array(t), t.layout_()).copy()


def from_elements(elements: Array, layout: Layout, kind: Kind) -> Tensor:
    """A tensor of a layout over a new storage with these elements."""
    return from_storage(kind, new_storage(elements, kind), layout)


def new_storage(elements: Array, kind: Kind) -> Storage:
    """A new storage with these elements, already of the kind's dtype."""
    data = np.ascontiguousarray(elements).tobytes()
    storage = Storage.allocate(kind.device, kind.backend, len(data))
    if data:
        kind.backend.copy_in(storage.buffer, 0, memoryview(data), kind.device.index or 0)
    return storage


def from_host(array: Array, kind: Kind) -> Tensor:
    """A row-major tensor of an array."""
    return from_elements(array.reshape(-1), Layout.contiguous(array.shape), kind)


def wider(what: dtype) -> dtype:
    """The dtype in which the oracle computes what a device computes in ``what``."""
    from flambeau import dtypes

    return {2: dtypes.float64, 3: dtypes.complex128}.get(what.category, what)


def cast_elements(elements: Array, what: dtype) -> Array:
    """Elements in another dtype."""
    return elements if elements.dtype == what.numpy else elements.astype(what.numpy)


class Carrier:
    """Carries the arguments of one call to a device; tensors that share memory share it there.

    Args:
        to: the device.
        retype: the dtype there, from the one here; None keeps it.
        change: given the elements of a tensor's storage in the widest type, and the tensor, what
            to put there in their place.
    """

    def __init__(
        self, to: device, retype: Callable[[dtype], dtype] | None = None,
        change: Callable[[Array, Tensor], Array] | None = None,
    ) -> None:
        self.to, self.retype, self.change = to, retype, change
        self._storages: dict[tuple[int, dtype], Storage] = {}
        self._made: dict[int, Tensor] = {}
        self._keep: list[object] = []
        """What ids were taken of: an id is only good while its object lives."""

    def __call__(self, value: Any) -> Any:
        """The same value on the device: tensors, and devices, inside sequences too."""
        if isinstance(value, Tensor):
            return self.tensor(value)
        if isinstance(value, device):
            return self.to
        if isinstance(value, dict):
            return {k: self(v) for k, v in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self(v) for v in value)
        return value

    def tensor(self, t: Tensor) -> Tensor:
        """The tensor on the device, a leaf that requires a gradient if this one does."""
        if id(t) not in self._made:
            self._made[id(t)] = self._new(t)
            self._keep.append(t)
        return self._made[id(t)]

    def _new(self, t: Tensor) -> Tensor:
        what = t.dtype if self.retype is None else self.retype(t.dtype)
        kind = kind_of(self.to, what)
        source = t.storage_()
        key = (id(source), what)
        if key not in self._storages:
            elements = storage_array(t)
            if self.change is not None and what.category >= 2:
                elements = self.change(elements.astype(wider(what).numpy), t)
            self._storages[key] = new_storage(cast_elements(elements, what), kind)
            self._keep.append(source)
        made = from_storage(kind, self._storages[key], t.layout_())
        return made.requires_grad_() if t.requires_grad else made


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors inside nested sequences and dictionaries, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
