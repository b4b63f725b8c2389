"""The memory of tensors, as ranges of a file: read, mapped, or left out."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from flambeau import dtypes
from flambeau.construct import from_numpy
from flambeau.device import CPU
from flambeau.dtypes import dtype as DType
from flambeau.kind import kind_of
from flambeau.serialization.archive import Member, read_into
from flambeau.serialization.errors import CheckpointError
from flambeau.serialization.location import Restore
from flambeau.serialization.options import OPTIONS
from flambeau.storages import memory
from flambeau.storages.typed import TypedStorage
from flambeau.storages.untyped import UntypedStorage

ALIGNMENT: Final = 16  # bytes: what any element needs
_MAPPED_FROM: Final = 1 << 20  # bytes from which on memory is asked of the system
_POPULATED: Final = getattr(mmap, "MAP_POPULATE", 0)


class Records:
    """The storages of a file by key; each is made once, so that tensors share it again.

    Args:
        file: where the bytes are.
        find: tells the range of a key, of a size that it may check.
        restore: moves a storage to its device.
        foresee: tells the device's tag beforehand, or None.
        byteorder: ``"little"`` or ``"big"``: that of the file.
        mapped: the file's memory, if it is to be used in place.
    """

    def __init__(
        self, file: Any, find: Callable[[str, int], Member], restore: Restore,
        foresee: Callable[[str], str | None], byteorder: str, mapped: mmap.mmap | None = None,
    ) -> None:
        self.file, self.find, self.restore, self.foresee = file, find, restore, foresee
        self.is_swapped = byteorder != sys.byteorder
        self.mapped = mapped
        self._made: dict[str, UntypedStorage] = {}

    def get(self, pid: Any) -> TypedStorage | UntypedStorage:
        """The storage that a persistent id of the pickle names.

        Args:
            pid: ``("storage", class, key, location, number of elements)``.

        Raises:
            CheckpointError: for anything else, or if the file holds another number of bytes.
        """
        from flambeau.storages.legacy import LegacyStorage

        if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] != "storage":
            raise CheckpointError(f"an unknown kind of reference: {str(pid)[:80]}")
        _, cls, key, location, count = pid[:5]
        is_typed = isinstance(cls, type) and issubclass(cls, LegacyStorage)
        if not (is_typed or cls is UntypedStorage) or type(key) is not str or (
                type(location) is not str or type(count) is not int or count < 0):
            raise CheckpointError(f"a malformed reference to a storage: {str(pid)[:80]}")
        what = cls.dtype if is_typed else dtypes.uint8
        nbytes = count * what.itemsize
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._make(key, location, nbytes, what)
        if len(pid) == 6 and pid[5] is not None:
            made = self._part(made, pid[5], what)
        elif made.nbytes() != nbytes:
            raise CheckpointError(
                f"storage {key} is declared with {nbytes} and with {made.nbytes()} bytes")
        return TypedStorage.over(made._storage, what) if is_typed else made

    def _make(self, key: str, location: str, nbytes: int, what: DType) -> UntypedStorage:
        if not (key.isascii() and key.isdigit()):
            raise CheckpointError(f"a malformed key of a storage: {key[:80]!r}")
        place = self.foresee(location)
        member = self.find(key, nbytes)
        if member.size != nbytes:
            raise CheckpointError(
                f"storage {key} is declared with {nbytes} bytes, but the file holds {member.size}")
        if place == "meta":
            return UntypedStorage(nbytes, device="meta")
        return self.restore(self._on_host(member, what), location)

    def _on_host(self, member: Member, what: DType) -> UntypedStorage:
        if OPTIONS.skips_data or not member.size:
            return UntypedStorage(member.size)
        if self.mapped is not None and not self.is_swapped and member.offset % ALIGNMENT == 0:
            array = np.frombuffer(self.mapped, np.uint8, member.size, member.offset)
            return UntypedStorage.over(from_numpy(array).storage_())
        made = _memory(member.size)
        self.file.seek(member.offset)
        read_into(self.file, memoryview(memory.elements(made._storage, dtypes.uint8).native()))
        if self.is_swapped:
            made.byteswap(what)
        return made

    def _part(self, whole: UntypedStorage, view: Any, what: DType) -> UntypedStorage:
        """A part of a storage, as files of before PyTorch 0.4 have them."""
        if type(view) is not tuple or len(view) != 3 or not (
                type(view[1]) is int and type(view[2]) is int):
            raise CheckpointError("a malformed reference to a part of a storage")
        start, size = view[1] * what.itemsize, view[2] * what.itemsize
        if not 0 <= start <= start + size <= whole.nbytes():
            raise CheckpointError("a part of a storage reaches beyond it")
        part: UntypedStorage = whole[start : start + size]
        return part


def _memory(nbytes: int) -> UntypedStorage:
    """Memory on the host to be read into.

    What the backend keeps for later is used; else pages are asked of the system at once, and small
    ones: where the machine is a guest of another, the huge ones that backends ask for may first
    have to be given by the host, which takes four times as long as reading into them.
    """
    if nbytes < _MAPPED_FROM or not _POPULATED:
        return UntypedStorage(nbytes)
    stats = kind_of(CPU, dtypes.uint8).backend.memory_stats(0)
    if stats.get("reserved", 0) - stats.get("allocated", 0) >= nbytes:
        return UntypedStorage(nbytes)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _POPULATED
    block = np.frombuffer(mmap.mmap(-1, nbytes, flags=flags), np.uint8)
    return UntypedStorage.over(from_numpy(block).storage_())
