"""``save``: checkpoints that PyTorch reads, too."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import struct
import sys
import zipfile
from collections.abc import Iterator
from typing import Any, Final

from flambeau.serialization import legacy_stream
from flambeau.serialization.atomic import replaced
from flambeau.serialization.options import OPTIONS
from flambeau.serialization.pickler import Contents, make
from flambeau.storage import Storage

ALIGNMENT: Final = 64
_FILLER: Final = 0x4246  # id of the field that pads a header, as PyTorch's
_CHUNK: Final = 1 << 24
_FIRST_DAY: Final = (1980, 0, 0, 0, 0, 0)
_LOCAL_HEADER_SIZE, _FIELD_HEADER_SIZE, _ZIP64_FIELD_SIZE = 30, 4, 20


def save(
    obj: Any, f: Any, pickle_module: Any = pickle, pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True, _disable_byteorder_record: bool = False,
) -> None:
    """Write an object, and the tensors in it, to a file that ``load`` and PyTorch read.

    Tensors over one storage do so again when they are loaded; a part of a tensor is written with
    the whole storage that it is a view of, unless it is cloned.  A file given by its path is
    replaced at once when all is written.  Equal objects give equal files.

    Args:
        f: a path, or a file open for writing.
        pickle_module: with a ``Pickler`` in Python, as that of dill.
        pickle_protocol: of the pickle; PyTorch's restricted loading reads 2.

    Raises:
        RuntimeError: if the folder does not exist, or a storage is used with several dtypes.
        pickle.PicklingError: for objects that cannot be pickled.
    """
    if not isinstance(f, (str, os.PathLike)):
        if not hasattr(f, "write"):
            raise AttributeError(
                f"expected 'f' to be string, path, or a file-like object with a 'write' attribute, "
                f"not {type(f).__name__}")
        _write(obj, f, "archive", pickle_module, pickle_protocol,
               _use_new_zipfile_serialization, _disable_byteorder_record)
        return
    stem = os.path.splitext(os.path.basename(os.fspath(f)))[0]
    root = stem if isinstance(stem, str) and stem.isascii() and stem else "archive"
    with replaced(f) as file:
        _write(obj, file, root, pickle_module, pickle_protocol,
               _use_new_zipfile_serialization, _disable_byteorder_record)


def _write(
    obj: Any, file: Any, root: str, pickle_module: Any, protocol: int, is_zip: bool,
    has_no_order: bool,
) -> None:
    if is_zip:
        data, contents = pickled(obj, pickle_module, protocol)
        write_archive(file, root, data, contents, has_no_order)
    else:
        _write_stream(obj, file, pickle_module, protocol)


def pickled(
    obj: Any, pickle_module: Any, protocol: int, is_legacy: bool = False
) -> tuple[bytes, Contents]:
    """An object's pickle, and the storages that it refers to.

    Raises:
        TypeError: for a pickle module whose ``Pickler`` is not in Python.
    """
    base = pickle._Pickler if pickle_module in (None, pickle) else pickle_module.Pickler
    if not issubclass(base, pickle._Pickler):
        raise TypeError(
            f"the Pickler of {pickle_module.__name__} is not derived from Python's own in Python, "
            "which is needed to write PyTorch's names; leave pickle_module out")
    contents, buffer = Contents(), io.BytesIO()
    make(contents, base, is_legacy)(buffer, protocol=protocol).dump(obj)
    return buffer.getvalue(), contents


# ---- the zip format ----------------------------------------------------------------------------
def write_archive(
    file: Any, root: str, data: bytes, contents: Contents, has_no_order: bool = False
) -> None:
    """Write the members in PyTorch's order, each at a multiple of 64 bytes."""
    digest = hashlib.sha256(data)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, f"{root}/data.pkl", data)
        _add(archive, f"{root}/.format_version", b"1")
        _add(archive, f"{root}/.storage_alignment", str(ALIGNMENT).encode())
        if not has_no_order:
            _add(archive, f"{root}/byteorder", sys.byteorder.encode())
        for key, (storage, what) in contents.storages.items():
            nbytes = storage.nbytes // what.itemsize * what.itemsize
            with _member(archive, f"{root}/data/{key}", nbytes) as member:
                for part in _parts(storage, nbytes):
                    member.write(part)
            digest.update(archive.getinfo(f"{root}/data/{key}").CRC.to_bytes(4, "little"))
        _add(archive, f"{root}/version", b"3\n")
        number = int.from_bytes(digest.digest(), "big") % 10**40
        _add(archive, f"{root}/.data/serialization_id", f"{number:040d}".encode())


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    with _member(archive, name, len(data)) as member:
        member.write(data)


def _member(archive: zipfile.ZipFile, name: str, nbytes: int) -> Any:
    """A member to be written, its header padded so that its bytes are aligned."""
    info = zipfile.ZipInfo(name, _FIRST_DAY)
    info.file_size = nbytes
    needs_64 = nbytes * 1.05 > zipfile.ZIP64_LIMIT
    start = archive.start_dir + _LOCAL_HEADER_SIZE + len(name.encode()) + _FIELD_HEADER_SIZE
    padding = -(start + (_ZIP64_FIELD_SIZE if needs_64 else 0)) % ALIGNMENT
    info.extra = struct.pack("<HH", _FILLER, padding) + b"Z" * padding
    return archive.open(info, "w", force_zip64=needs_64)


def _parts(storage: Storage, nbytes: int) -> Iterator[Any]:
    """The bytes of a storage, brought to the host piece by piece."""
    if OPTIONS.skips_data:
        for at in range(0, nbytes, _CHUNK):
            yield bytes(min(_CHUNK, nbytes - at))
        return
    for at in range(0, nbytes, _CHUNK):
        yield storage.backend.copy_out(
            storage.buffer, at, min(_CHUNK, nbytes - at), storage.device.index or 0)


# ---- the older format --------------------------------------------------------------------------
def _write_stream(obj: Any, file: Any, pickle_module: Any, protocol: int) -> None:
    """Write the format of PyTorch before 1.6."""
    data, contents = pickled(obj, pickle_module, protocol, is_legacy=True)
    system = {"protocol_version": legacy_stream.PROTOCOL,
              "little_endian": sys.byteorder == "little",
              "type_sizes": {"short": 2, "int": 4, "long": 4}}
    for head in (legacy_stream.MAGIC, legacy_stream.PROTOCOL, system):
        file.write(pickle.dumps(head, protocol=2))
    file.write(data)
    file.write(pickle.dumps(sorted(contents.storages), protocol=2))
    for key in sorted(contents.storages):
        storage, what = contents.storages[key]
        count = storage.nbytes // what.itemsize
        file.write(legacy_stream.write_count(count))
        for part in _parts(storage, count * what.itemsize):
            file.write(part)
