"""Files of PyTorch before 1.6: five pickles in a row, then the bytes of the storages."""

from __future__ import annotations

import struct
import sys
from typing import Any, Final

from flambeau.serialization.archive import Member, read_exactly
from flambeau.serialization.errors import CheckpointError
from flambeau.serialization.machine import Machine

MAGIC: Final = 0x1950A86A20F9469CFC6C
PROTOCOL: Final = 1001
START: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first pickle of such a file: the magic number."""
_COUNT: Final = struct.Struct("<q")


class Stream:
    """A file of the older format.

    Args:
        file: seekable, at the start of the stream.

    Attributes:
        start: where the pickle of the value starts.
        end: where the stream ends.
        byteorder: of the file's numbers.
    """

    def __init__(self, file: Any) -> None:
        self.file = file
        if _plain(file) != MAGIC:
            raise CheckpointError("the file does not start with the magic number")
        version = _plain(file)
        if version != PROTOCOL:
            raise CheckpointError(f"the file has the unknown protocol {str(version)[:40]}")
        system = _plain(file)
        if type(system) is not dict or type(system.get("little_endian", True)) is not bool:
            raise CheckpointError("the file does not say what system wrote it")
        self.byteorder = "little" if system.get("little_endian", True) else "big"
        self.start = file.tell()
        item_sizes = _item_sizes(file)  # behind the pickle now: the list of storages
        keys = _plain(file)
        if type(keys) is not list or len(set(map(str, keys))) != len(keys):
            raise CheckpointError("the file has no list of storages")
        self._members: dict[str, Member] = {}
        self.end = self._locate([str(key) for key in keys], item_sizes)

    def find(self, key: str, nbytes: int) -> Member:
        """Where the bytes of a storage lie."""
        found = self._members.get(key)
        if found is None:
            raise CheckpointError(f"the file has no storage {key[:80]}")
        return found

    def _locate(self, keys: list[str], item_sizes: dict[str, int]) -> int:
        """Find all storages, each a count of elements and their bytes; returns where they end."""
        at: int = self.file.tell()
        size = self.file.seek(0, 2)
        for key in keys:
            if key not in item_sizes:
                raise CheckpointError(f"storage {key[:80]} is not used by the pickle")
            self.file.seek(at)
            data = read_exactly(self.file, _COUNT.size)
            count = int.from_bytes(data, self.byteorder, signed=True)  # type: ignore[arg-type]
            nbytes = count * item_sizes[key]
            at += _COUNT.size
            if count < 0 or at + nbytes > size:
                raise CheckpointError(f"storage {key[:80]} reaches beyond the file")
            self._members[key] = Member(at, nbytes, 0)
            at += nbytes
        return at


def _item_sizes(file: Any) -> dict[str, int]:
    """Bytes per element of each storage, read off the pickle without making anything."""
    from flambeau.storages.legacy import LegacyStorage

    sizes: dict[str, int] = {}

    def note(pid: Any) -> Any:
        if type(pid) is not tuple or len(pid) < 5:
            raise CheckpointError("a malformed reference to a storage")
        cls, key = pid[1], pid[2]
        is_typed = isinstance(cls, type) and issubclass(cls, LegacyStorage)
        sizes[str(key)] = cls.dtype.itemsize if is_typed else 1
        return None

    _References(note).run(file)
    return sizes


class _References(Machine):
    """Follows a pickle only as far as its persistent ids need."""

    def _find(self, name: str) -> Any:
        from flambeau.serialization import names

        found = names.find(name)
        return _Nothing if found is None else found

    def _call(self, function: Any, args: tuple[Any, ...]) -> Any:
        return _Nothing()

    def _new(self, argument: Any) -> None:
        del self.stack[-2:]
        self.stack.append(_Nothing())

    def _build(self, argument: Any) -> None:
        self.stack.pop()

    def _append(self, items: list[Any]) -> None:
        pass

    _set_items = _add_items = _append


class _Nothing:
    """Stands for what a pickle makes, while only its storages are looked for."""


def _plain(file: Any) -> Any:
    """The next pickle, which holds no tensors."""

    def refuse(pid: Any) -> Any:
        raise CheckpointError("a storage is not expected here")

    return Machine(refuse).run(file)


def write_count(count: int) -> bytes:
    """The number of elements before the bytes of a storage."""
    return count.to_bytes(_COUNT.size, sys.byteorder, signed=True)
