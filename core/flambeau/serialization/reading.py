"""``load``: checkpoints of PyTorch and of this library."""

from __future__ import annotations

import io
import mmap as memory_map
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from flambeau.serialization import legacy_stream, trusted
from flambeau.serialization.archive import Archive, Member
from flambeau.serialization.errors import CheckpointError, malformed
from flambeau.serialization.location import Restore, restorer
from flambeau.serialization.machine import Machine
from flambeau.serialization.options import OPTIONS, LoadEndianness
from flambeau.serialization.records import Records

_ZIP: Final = b"PK\x03\x04"
_NEWEST: Final = 10  # version of archives that is known


def load(
    f: Any, map_location: Any = None, pickle_module: Any = None, *,
    weights_only: bool | None = None, mmap: bool | None = None, **pickle_load_args: Any,
) -> Any:
    """What ``save``, here or in PyTorch, has written to a file.

    Args:
        f: a path, or a file open for reading that can seek.
        map_location: where tensors go: a device or its name, a mapping of the names in the file,
            a function ``(storage, name) -> storage | None``; where they were, if None.
        pickle_module: in place of Python's ``pickle``, only with ``weights_only=False``.
        weights_only: run no code from the file, which is the default: only tensors, containers,
            numbers, text and what ``add_safe_globals`` allows can be loaded.
        mmap: use the file's pages in place, so that only what is looked at is read.
        pickle_load_args: given to the unpickler, only with ``weights_only=False``.

    Raises:
        CheckpointError: (a RuntimeError and a ``pickle.UnpicklingError``) if the file is no
            checkpoint, is damaged, or holds what is not allowed.
        OSError: if it cannot be read.
    """
    is_restricted = weights_only is not False
    if is_restricted and pickle_module is not None:
        if weights_only:
            raise RuntimeError(
                "Can not safely load weights when explicit pickle_module is specified")
        is_restricted = False
    if mmap and not isinstance(f, (str, os.PathLike)):
        raise ValueError("f must be a file path in order to use the mmap argument")
    places = restorer(map_location)
    with opened(f) as file, malformed(f"cannot load {_name_of(f)}"):
        reader = _Reader(file, places, bool(mmap))
        if is_restricted:
            return reader.restricted()
        pickle_load_args.setdefault("encoding", "utf-8")
        return reader.trusted(pickle_module, pickle_load_args)


class _Reader:
    """A file of either format: the place of its pickle, and its storages."""

    def __init__(
        self, file: Any, places: tuple[Restore, Callable[[str], str | None]], is_mapped: bool
    ) -> None:
        self.file = file
        start = file.tell()
        head = file.read(len(legacy_stream.START))
        file.seek(start)
        restore, foresee = places
        self.stream: legacy_stream.Stream | None = None
        if head.startswith(_ZIP):
            archive = Archive(file)
            self.pickle = archive.read("data.pkl")
            order = _byteorder(archive)
            mapped = map_whole(file) if is_mapped else None

            def find(key: str, nbytes: int) -> Member:
                return archive.find(f"data/{key}")

            self.records = Records(file, find, restore, foresee, order, mapped)
        elif head == legacy_stream.START:
            if is_mapped:
                raise CheckpointError(
                    "mmap can only be used with files saved with "
                    "`save(_use_new_zipfile_serialization=True)`, please save your checkpoint with "
                    "this option in order to use mmap")
            self.stream = stream = legacy_stream.Stream(file)
            self.records = Records(file, stream.find, restore, foresee, stream.byteorder)
        else:
            raise CheckpointError(_what_is(file, head))

    def restricted(self) -> Any:
        """The value, made without running code of the file."""
        machine = Machine(self.records.get)
        if self.stream is None:
            return machine.run(self.pickle)
        value = machine.run(_Ahead(self.file, self.stream.start))
        self.file.seek(self.stream.end)
        return value

    def trusted(self, pickle_module: Any, arguments: dict[str, Any]) -> Any:
        """The value, made by pickle."""
        if self.stream is None:
            source: Any = io.BytesIO(self.pickle)
            return trusted.load(source, self.records.get, pickle_module, **arguments)
        ahead = _Ahead(self.file, self.stream.start)
        value = trusted.load(ahead, self.records.get, pickle_module, **arguments)
        self.file.seek(self.stream.end)
        return value


class _Ahead(io.BufferedIOBase):
    """Reads a file from a place of its own while others seek in it."""

    def __init__(self, file: Any, at: int) -> None:
        self.file, self.at = file, at

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def read(self, size: int | None = -1, /) -> bytes:
        self.file.seek(self.at)
        data: bytes = self.file.read(-1 if size is None else size)
        self.at += len(data)
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        self.file.seek(self.at)
        data: bytes = self.file.readline(-1 if size is None else size)
        self.at += len(data)
        return data

    def readinto(self, target: Any, /) -> int:
        data = self.read(len(target))
        target[: len(data)] = data
        return len(data)


def _byteorder(archive: Archive) -> str:
    """The order of bytes of an archive, whose version is looked at, too."""
    version = archive.text("version", "3") or archive.text(".data/version", "3")
    if not version.isdigit() or not 1 <= int(version) <= _NEWEST:
        raise CheckpointError(f"the file has the unknown version {version[:40]!r}")
    preset = OPTIONS.endianness
    default = "big" if preset is LoadEndianness.BIG else (
        sys.byteorder if preset is LoadEndianness.NATIVE else "little")
    order = archive.text("byteorder", default)
    if order not in ("little", "big"):
        raise CheckpointError(f"the file has the unknown byteorder {order[:40]!r}")
    return order


def map_whole(file: Any) -> memory_map.mmap:
    """The memory of a file, written to privately unless options say otherwise."""
    is_shared = OPTIONS.mmap_flags != getattr(memory_map, "MAP_PRIVATE", 2)
    access = memory_map.ACCESS_WRITE if is_shared else memory_map.ACCESS_COPY
    return memory_map.mmap(file.fileno(), 0, access=access)


def _what_is(file: Any, head: bytes) -> str:
    """Why a file is no checkpoint."""
    file.seek(0, 2)
    if not file.tell():
        return "the file is empty"
    file.seek(0)
    start = file.read(512)
    if start[257:262] == b"ustar":
        return ("the file is a tar archive, as PyTorch wrote before 0.1.10; such files are not "
                "loaded, for that would mean running what they hold. Save it again with a PyTorch "
                "of that time")
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 32:
        return ("the file is in the safetensors format: load it with "
                "flambeau.serialization.safetensors.load_file")
    if head[:1] == b"\x80":
        return "the file is a plain pickle, not written by save(); Python's pickle may load it"
    return f"the file is no checkpoint: it starts with {head[:8]!r}"


def _name_of(f: Any) -> str:
    name = f if isinstance(f, (str, os.PathLike)) else getattr(f, "name", None)
    return f"the file {os.fspath(name)!r}" if isinstance(name, (str, os.PathLike)) else "the buffer"


@contextmanager
def opened(f: Any) -> Iterator[Any]:
    """A file open for reading: one given by its path is closed at the end.

    Raises:
        AttributeError: for an object that cannot seek.
        OSError: if there is no such file.
    """
    if isinstance(f, (str, os.PathLike)):
        writable = OPTIONS.mmap_flags != getattr(memory_map, "MAP_PRIVATE", 2)
        with open(f, "r+b" if writable else "rb") as file:
            yield file
        return
    for method in ("read", "readline", "tell", "seek"):
        if not hasattr(f, method):
            raise AttributeError(
                f"'{type(f).__name__}' object has no attribute '{method}'. You can only load from "
                "a file that is seekable. Please pre-load the data into a buffer like io.BytesIO "
                "and try to load from it instead.")
    yield f


def get_unsafe_globals_in_checkpoint(f: Any) -> list[str]:
    """The names that a file refers to and that are not allowed: nothing of it is run.

    Args:
        f: a path, or a file that can seek, in the zip format.
    """
    import pickletools

    from flambeau.serialization import names
    from flambeau.serialization.options import find_safe

    with opened(f) as file, malformed(f"cannot read {_name_of(f)}"):
        start = file.tell()
        if file.read(4) != _ZIP:
            raise CheckpointError("only files in the zip format can be looked at")
        file.seek(start)
        found: dict[str, None] = {}
        texts: list[str] = []
        for code, argument, _ in pickletools.genops(Archive(file).read("data.pkl")):
            if code.name == "GLOBAL":
                found[str(argument).replace(" ", ".", 1)] = None
            elif code.name == "STACK_GLOBAL":
                found[".".join(texts[-2:])] = None
            elif "UNICODE" in code.name:
                texts.append(str(argument))
        return [name for name in found if names.find(name) is None and find_safe(name) is None]
