"""What kernels find wrong with the values of their inputs.

A kernel that meets an index out of range writes two numbers to a buffer of its device: which
check failed, and the index.  The buffer is read when the device is waited for anyway.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

_WORDS: Final = struct.Struct("=ii")


class Site(NamedTuple):
    """A check that kernels make."""

    name: str
    """Of the op."""
    dims: tuple[int, ...]
    sizes: tuple[int, ...]
    """Of the dimensions that are indexed."""

    def error(self, index: int | None = None) -> IndexError:
        """For an index out of range."""
        pairs = zip(self.dims, self.sizes, strict=True)
        places = " or ".join(f"dimension {d} with size {n}" for d, n in pairs)
        what = "an index" if index is None else f"index {index}"
        return IndexError(f"{self.name}: index out of range: {what} is out of bounds for {places}")


class Flags:
    """The buffers of a backend's devices, and what their numbers stand for."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self._backend = backend
        self._buffers: dict[int, Any] = {}
        self._codes: dict[Site, int] = {}
        self._unread: set[int] = set()
        self._is_synchronous: dict[int, bool] = {}

    def buffer(self, index: int) -> Any:
        """Of a device."""
        found = self._buffers.get(index)
        if found is None:
            found = self._buffers[index] = self._backend.alloc(_WORDS.size, index)
            self._backend.copy_in(found, 0, memoryview(bytes(_WORDS.size)), index)
            self._is_synchronous[index] = not self._backend.capabilities(index).asynchronous
        return found

    def code(self, site: Site) -> int:
        """The number of a check, not 0."""
        return self._codes.setdefault(site, len(self._codes) + 1)

    def launched(self, index: int) -> None:
        """Note that a kernel with checks was launched; on a synchronous device, look."""
        self._unread.add(index)
        if self._is_synchronous[index]:
            self.check(index)

    def check(self, index: int) -> None:
        """Look at the flags if there may be something new.

        Raises:
            IndexError: for a check that failed; it is then forgotten.
        """
        if index not in self._unread:
            return
        self._unread.discard(index)  # before the copy, which checks as well
        buffer, size = self._buffers[index], _WORDS.size
        code, value = _WORDS.unpack(bytes(self._backend.copy_out(buffer, 0, size, index)))
        if code:
            self._backend.copy_in(buffer, 0, memoryview(bytes(size)), index)
            raise next(site for site, n in self._codes.items() if n == code).error(value)
