"""How batches travel from worker processes: pickled, with large arrays in shared memory.

A worker writes arrays into *segments*: anonymous files (``memfd`` on Linux, an unlinked temporary
file elsewhere) that both sides map.  Having no name, a segment cannot outlive the processes that
map it, however they die.  The main process wraps the memory without copying; when the last array
over a segment is gone, the segment's number goes back to the worker with the next task, and the
worker writes a later batch there.

Invariant: a segment is written only while no array over it is alive in either process.
"""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import mmap
import os
import pickle
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from flambeau.device import CPU
from flambeau.kind import kind_of
from flambeau.tensor import Tensor, from_native

if TYPE_CHECKING:
    import socket
    from multiprocessing.connection import Connection

    from flambeau.dtypes import dtype as Dtype

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

# Below these numbers of bytes a copy through the pipe costs less than the bookkeeping of a segment:
# for an array, and for the pickle of all the rest.
SMALL = 16 * 1024
SHORT = 128 * 1024
# Cache lines: arrays that share a segment start on different ones.
_ALIGNMENT = 64
# Free segments that a worker keeps for later batches; further ones are given back to the system.
_SPARE = 2
# Segments that a worker has at most.  A program that keeps every batch gets later ones by copy:
# each mapping takes a file number of both processes, and of those there are few.
_MOST = 64

# Windows has no way to pass an open file through a pipe: there arrays travel in the pipe itself.
CAN_SHARE = sys.platform != "win32"


class Piece(NamedTuple):
    """A stretch of a segment."""

    segment: int
    start: int
    nbytes: int


class Message(NamedTuple):
    """What a worker says about one task."""

    kind: str
    task: int
    stream: bytes | Piece
    pieces: list[Piece]
    opened: list[tuple[int, int]]  # number and size of segments that the reader has not seen
    closed: list[int]  # segments that the reader may unmap


def _anonymous_file(nbytes: int) -> int:
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("flambeau-batch", os.MFD_CLOEXEC)
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    try:
        if hasattr(os, "posix_fallocate"):
            # Takes the memory now: a later lack of it would be a SIGBUS in the middle of a write.
            os.posix_fallocate(handle, 0, nbytes)
        else:
            os.ftruncate(handle, nbytes)
    except OSError as error:
        os.close(handle)
        if error.errno not in (errno.ENOSPC, errno.ENOMEM):
            raise
        raise RuntimeError(
            f"DataLoader: no shared memory left for a batch of {nbytes} bytes ({error.strerror}). "
            "Use fewer workers, a smaller batch_size or prefetch_factor, keep fewer batches alive, "
            "or give the machine or container more memory."
        ) from error
    return handle


def _map(handle: int, nbytes: int) -> mmap.mmap:
    if sys.version_info >= (3, 13):
        return mmap.mmap(handle, nbytes, trackfd=False)
    return mmap.mmap(handle, nbytes)


def _rounded(nbytes: int) -> int:
    """Up to one of eight sizes per power of two, so that batches of varying size can reuse."""
    step = max(mmap.PAGESIZE, 1 << max(0, nbytes.bit_length() - 4))
    return -(-nbytes // step) * step


class _Segment:
    """A worker's view of a segment."""

    __slots__ = ("_lease", "address", "buffer", "handle", "lent", "nbytes")

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.handle: int | None = _anonymous_file(nbytes)
        self.buffer = _map(self.handle, nbytes)
        self.lent = False  # arrays over it may be alive in the main process
        self._lease: weakref.ref[Bytes] | None = None
        self.address = _address(np.frombuffer(self.buffer, np.uint8))

    @property
    def is_free(self) -> bool:
        return not self.lent and (self._lease is None or self._lease() is None)

    def close_handle(self) -> None:
        """Close the file; the mapping stays."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def lease(self) -> Bytes:
        """All of it, as an array that keeps the segment busy while any view of it is alive."""
        whole = np.frombuffer(self.buffer, np.uint8)
        self._lease = weakref.ref(whole)
        return whole


def _address(array: np.ndarray[Any, Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


class Arena:
    """A worker's segments, and the encoder that puts batches there."""

    def __init__(self) -> None:
        self._segments: dict[int, _Segment] = {}
        self._numbers = itertools.count()
        self._unannounced: list[int] = []
        self._closed: list[int] = []

    @property
    def is_full(self) -> bool:
        """Whether all segments that a worker may have are in use."""
        return len(self._segments) >= _MOST and not any(
            segment.is_free for segment in self._segments.values()
        )

    def empty(self, nbytes: int) -> Bytes | None:
        """Uninitialised shared memory, or None if the arena is full.

        Raises:
            RuntimeError: if the system has no more of it.
        """
        return None if self.is_full else self._segments[self._take(nbytes)].lease()[:nbytes]

    def _take(self, nbytes: int) -> int:
        """A free segment that is large enough; the arena must not be full."""
        free = sorted(
            (segment.nbytes, number)
            for number, segment in self._segments.items()
            if segment.is_free
        )
        fitting = next((number for size, number in free if size >= nbytes), None)
        if fitting is not None:
            return fitting
        keep = _SPARE if len(self._segments) < _MOST else len(free) - 1
        for _, number in free[: max(0, len(free) - keep)]:
            self._close(number)
        number = next(self._numbers)
        self._segments[number] = _Segment(_rounded(nbytes))
        self._unannounced.append(number)
        return number

    def _close(self, number: int) -> None:
        segment = self._segments.pop(number)
        if number in self._unannounced:
            self._unannounced.remove(number)
        else:
            self._closed.append(number)
        segment.close_handle()

    def reclaim(self, numbers: list[int]) -> None:
        """The main process has no array over these segments any more."""
        for number in numbers:
            segment = self._segments[number]
            segment.lent = False
            # Only now: some systems lose a file that its sender closes while it is on its way.
            segment.close_handle()

    def encode(self, kind: str, task: int, value: Any) -> Message:
        """Pickle a value; its large arrays end up in segments."""
        stream, buffers = _pickle(value, self)
        found = [self._locate(buffer) for buffer in buffers]
        foreign = [raw for raw, piece in zip(buffers, found, strict=True) if piece is None]
        if len(stream) > SHORT and CAN_SHARE and not self.is_full:
            *copied, stream_piece = self._copy_in([*foreign, np.frombuffer(stream, np.uint8)])
            place: bytes | Piece = stream_piece
        else:
            copied, place = self._copy_in(foreign), stream
        rest = iter(copied)
        pieces = [piece if piece is not None else next(rest) for piece in found]
        for piece in (*pieces, *([place] if isinstance(place, Piece) else [])):
            self._segments[piece.segment].lent = True
        opened = [(number, self._segments[number].nbytes) for number in self._unannounced]
        message = Message(kind, task, place, pieces, opened, self._closed)
        self._closed = []
        return message

    def send(self, connection: Connection, message: Message) -> None:
        """Send a message and the open files of the segments that it announces."""
        connection.send_bytes(pickle.dumps(tuple(message), pickle.HIGHEST_PROTOCOL))
        for number, _ in message.opened:
            segment = self._segments[number]
            assert segment.handle is not None
            _send_file(connection, segment.handle)
            self._unannounced.remove(number)

    def _locate(self, raw: Bytes) -> Piece | None:
        """Where the bytes are, if they are in a segment that may be handed over."""
        address = _address(raw)
        for number, segment in self._segments.items():
            start = address - segment.address
            if 0 <= start < segment.nbytes and not segment.lent:
                return Piece(number, start, raw.nbytes)
        return None

    def holds(self, raw: Bytes) -> bool:
        """Whether the bytes are in a segment already, so that handing them over is free."""
        return self._locate(raw) is not None

    def _copy_in(self, arrays: list[Bytes]) -> list[Piece]:
        if not arrays:
            return []
        starts = [
            0,
            *itertools.accumulate(-(-raw.nbytes // _ALIGNMENT) * _ALIGNMENT for raw in arrays),
        ]
        number = self._take(starts[-1])
        whole = self._segments[number].lease()
        pieces = [
            Piece(number, start, raw.nbytes) for start, raw in zip(starts[:-1], arrays, strict=True)
        ]
        for piece, raw in zip(pieces, arrays, strict=True):
            whole[piece.start : piece.start + piece.nbytes] = raw
        return pieces


def _pickle(value: Any, arena: Arena) -> tuple[bytes, list[Bytes]]:
    """The pickle stream, and the buffers that are to travel beside it."""
    buffers: list[Bytes] = []

    def stays_in_stream(buffer: pickle.PickleBuffer) -> bool:
        raw = np.frombuffer(buffer.raw(), np.uint8)
        is_kept = raw.nbytes < SMALL or arena.is_full
        if not CAN_SHARE or (is_kept and not (raw.nbytes and arena.holds(raw))):
            return True
        buffers.append(raw)
        return False

    stream = io.BytesIO()
    _Pickler(stream, pickle.HIGHEST_PROTOCOL, buffer_callback=stays_in_stream).dump(value)
    return stream.getvalue(), buffers


class _Pickler(pickle.Pickler):
    """Pickles tensors of the CPU by their elements, which can then travel out of band."""

    def reducer_override(self, value: Any) -> Any:
        return _reduce_tensor(value) if isinstance(value, Tensor) else NotImplemented


def _reduce_tensor(t: Tensor) -> tuple[Any, ...]:
    if t.device is not CPU:
        raise RuntimeError(
            f"a DataLoader worker returned a tensor on {t.device}; return tensors on the CPU and "
            "move the batch to the device in the main process"
        )
    if t.requires_grad and not t.is_leaf:
        raise RuntimeError(
            "a DataLoader worker returned a tensor with history, which cannot leave its process; "
            "return tensor.detach()"
        )
    array = t.detach().numpy()
    order = None
    if not array.flags.c_contiguous:
        # Dense but permuted elements (channels last, a transpose) keep their order in memory.
        order = sorted(range(array.ndim), key=lambda dim: -array.strides[dim])
        if not array.transpose(order).flags.c_contiguous:
            array, order = np.ascontiguousarray(array), None
    dense = array if order is None else array.transpose(order)
    flat = pickle.PickleBuffer(dense.reshape(-1).view(np.uint8).data)
    parts = (type(t), flat, t.dtype, dense.shape, order, t.requires_grad)
    return _tensor, parts, t.__dict__ or None


def _tensor(
    cls: type[Tensor],
    flat: Any,
    dtype: Dtype,
    shape: tuple[int, ...],
    order: list[int] | None,
    requires_grad: bool,
) -> Tensor:
    """A tensor over the bytes in ``flat``."""
    array = np.frombuffer(flat, np.uint8)
    if not array.flags.writeable:
        array = array.copy()
    dense = array.view(dtype.numpy).reshape(shape)
    elements = dense if order is None else dense.transpose(np.argsort(order))
    t = from_native(kind_of(CPU, dtype), elements)
    if requires_grad:
        t.requires_grad_()
    return t if cls is Tensor else t.as_subclass(cls)


@contextlib.contextmanager
def _socket_of(connection: Connection) -> Iterator[socket.socket]:
    import socket

    with socket.fromfd(connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as opened:
        yield opened


def _send_file(connection: Connection, handle: int) -> None:
    import socket

    with _socket_of(connection) as opened:
        socket.send_fds(opened, [b"f"], [handle])


def _receive_file(connection: Connection) -> int:
    import socket

    with _socket_of(connection) as opened:
        marker, handles, _, _ = socket.recv_fds(opened, 1, 1)
    if not marker:
        raise EOFError
    if not handles:  # the system dropped the file: there is no number left for it
        raise RuntimeError(
            "DataLoader: this process has too many open files to receive a batch from a worker. "
            "Raise the limit (ulimit -n) or close files."
        )
    return handles[0]


class Reader:
    """The main process's end of the segments of one worker."""

    def __init__(self) -> None:
        self._maps: dict[int, mmap.mmap] = {}
        self._leases: dict[int, weakref.ref[Bytes]] = {}
        self._released: deque[int] = deque()

    def read(self, connection: Connection) -> Message:
        """One message, its value not yet decoded.

        Raises:
            EOFError, OSError: the worker is gone.
            RuntimeError: this process has too many open files.
        """
        message = Message(*pickle.loads(connection.recv_bytes()))
        for number, nbytes in message.opened:
            handle = _receive_file(connection)
            self._maps[number] = _map(handle, nbytes)
            os.close(handle)
        for number in message.closed:
            del self._maps[number]
            self._leases.pop(number, None)
        return message

    def decode(self, message: Message) -> Any:
        """The value of a message, its arrays over shared memory."""
        leases: dict[int, Bytes] = {}
        buffers = [self._view(piece, leases) for piece in message.pieces]
        stream = message.stream
        data = self._view(stream, leases) if isinstance(stream, Piece) else stream
        return pickle.loads(data, buffers=buffers)  # type: ignore[arg-type]

    def _view(self, piece: Piece, leases: dict[int, Bytes]) -> Bytes:
        number = piece.segment
        whole = leases.get(number)
        if whole is None:
            whole = leases[number] = np.frombuffer(self._maps[number], np.uint8)
            released = self._released  # the callback must not keep the reader alive
            self._leases[number] = weakref.ref(whole, lambda _: released.append(number))
        return whole[piece.start : piece.start + piece.nbytes]

    def released(self) -> list[int]:
        """Segments whose arrays have died since the last call."""
        return [self._released.popleft() for _ in range(len(self._released))]


arena: Arena | None = None
"""The arena of this process, if it is a worker."""
