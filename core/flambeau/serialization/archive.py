"""The zip archives that checkpoints are.

Members are stored, never compressed, so each is a range of the file that can be read or mapped
where it lies.  The structure is checked before anything is believed.
"""

from __future__ import annotations

import struct
import zipfile
from typing import Any, BinaryIO, Final, NamedTuple

from flambeau.serialization.errors import CheckpointError

LOCAL_HEADER: Final = struct.Struct("<4s5H3I2H")
_LARGEST_TEXT: Final = 1 << 16  # bytes of the small members that are read besides the pickle


class Member(NamedTuple):
    """A range of bytes of the file."""

    offset: int
    size: int
    crc32: int


class Archive:
    """A checkpoint's members by name, without the folder that they all lie in.

    Args:
        file: open for reading in binary mode, and seekable.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.members: dict[str, Member] = {}
        with zipfile.ZipFile(file) as listed:
            entries = listed.infolist()
            end = listed.start_dir
        pickles = [e.filename for e in entries if e.filename.count("/") == 1
                   and e.filename.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise CheckpointError(
                f"an archive with {len(pickles)} members named data.pkl is no checkpoint")
        self.root = pickles[0].partition("/")[0]
        ends = 0
        for entry in sorted(entries, key=lambda e: e.header_offset):
            ends = self._add(entry, ends, end)
        if "constants.pkl" in self.members:
            raise CheckpointError(
                "this is a TorchScript archive, which holds a program; only the tensors of "
                "checkpoints written by save() can be loaded")

    def _add(self, entry: zipfile.ZipInfo, earliest: int, latest: int) -> int:
        """Check an entry against its local header; returns where its bytes end."""
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise CheckpointError(
                f"member {entry.filename!r} is compressed, which no checkpoint is")
        if entry.flag_bits & 0x1:
            raise CheckpointError(f"member {entry.filename!r} is encrypted")
        if entry.header_offset < earliest:
            raise CheckpointError(f"member {entry.filename!r} overlaps another")
        self.file.seek(entry.header_offset)
        header = LOCAL_HEADER.unpack(read_exactly(self.file, LOCAL_HEADER.size))
        name = read_exactly(self.file, header[9])
        if header[0] != b"PK\x03\x04" or name != entry.orig_filename.encode(
                "utf-8" if entry.flag_bits & 0x800 else "cp437"):
            raise CheckpointError(f"member {entry.filename!r} is not where the archive says it is")
        start: int = entry.header_offset + LOCAL_HEADER.size + header[9] + header[10]
        if start + entry.file_size > latest:
            raise CheckpointError(f"member {entry.filename!r} reaches beyond the archive")
        folder, _, inner = entry.filename.partition("/")
        if folder == self.root:
            if inner in self.members:
                raise CheckpointError(f"two members are named {entry.filename!r}")
            self.members[inner] = Member(start, entry.file_size, entry.CRC)
        return start + entry.file_size

    def find(self, name: str) -> Member:
        """Where a member lies.

        Raises:
            CheckpointError: if there is none of the name.
        """
        found = self.members.get(name)
        if found is None:
            raise CheckpointError(f"the archive has no member {self.root}/{name}")
        return found

    def read(self, name: str) -> bytes:
        """All bytes of a member, checked against its checksum."""
        import zlib

        member = self.find(name)
        self.file.seek(member.offset)
        data = read_exactly(self.file, member.size)
        if zlib.crc32(data) != member.crc32:
            raise CheckpointError(f"member {self.root}/{name} is damaged: its checksum differs")
        return data

    def text(self, name: str, default: str) -> str:
        """A small member as text."""
        if name not in self.members:
            return default
        if self.members[name].size > _LARGEST_TEXT:
            raise CheckpointError(f"member {self.root}/{name} is too large")
        return self.read(name).decode("ascii").strip()


def read_exactly(file: Any, size: int) -> bytes:
    """The next bytes of a file.

    Raises:
        CheckpointError: if there are fewer.
    """
    data: bytes = file.read(size)
    if len(data) != size:
        raise CheckpointError(f"the file ends too early: {len(data)} of {size} bytes are there")
    return data


def read_into(file: Any, target: memoryview) -> None:
    """Fill memory from a file.

    Raises:
        CheckpointError: if the file ends before.
    """
    at, size = 0, len(target)
    while at < size:
        if hasattr(file, "readinto"):
            count = file.readinto(target[at : at + (1 << 30)])
        else:
            part = file.read(min(size - at, 1 << 24))
            count = len(part)
            target[at : at + count] = part
        if not count:
            raise CheckpointError(f"the file ends too early: {at} of {size} bytes are there")
        at += count
