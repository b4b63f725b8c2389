"""Memory on a device, and the count of its modifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flambeau.backend import Backend
    from flambeau.device import device


class Storage:
    """A buffer of a backend.  Views share it, and with it the version counter.

    ``version`` counts in-place writes: autograd compares it to find out whether a saved tensor
    has changed since it was saved.
    """

    __slots__ = ("__weakref__", "backend", "buffer", "device", "nbytes", "version")

    def __init__(self, where: device, backend: Backend, buffer: Any, nbytes: int) -> None:
        self.device, self.backend, self.buffer, self.nbytes = where, backend, buffer, nbytes
        self.version = 0

    @staticmethod
    def allocate(where: device, backend: Backend, nbytes: int) -> Storage:
        """New uninitialised memory."""
        return Storage(where, backend, backend.alloc(nbytes, where.index or 0), nbytes)

    def sharing(self) -> Storage:
        """The same memory under a version counter of its own, as ``Tensor.data`` has."""
        return Storage(self.device, self.backend, self.buffer, self.nbytes)

    def __repr__(self) -> str:
        return f"Storage({self.nbytes} bytes on {self.device}, version {self.version})"
