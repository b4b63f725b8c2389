"""oneDNN's primitives: made once for shapes, strides and settings, then called with addresses."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ctypes import c_int, c_int64, c_void_p
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.onednn.library import Api, Unimplemented, loaded
from flambeau_cpu.onednn.threads import alone

F32: Final = 3
_ANY: Final = 1
_IMPLEMENTATION, _OF_ARGUMENT = 8, 255  # queries
_BYTES: Final = np.dtype(np.uint8)
Ints = tuple[int, ...]

SRC, DST, WEIGHTS, BIAS, MEAN, VARIANCE, SCALE, SHIFT, WORKSPACE = (
    1, 17, 33, 41, 49, 50, 51, 52, 64)
DIFF_SRC, DIFF_DST, DIFF_WEIGHTS, DIFF_SCALE, DIFF_SHIFT = 129, 145, 161, 255, 256
_SCRATCHPAD: Final = 80
"""The places of tensors in a call."""


class Form(NamedTuple):
    """How an array of single precision lies in memory.

    Attributes:
        shape: sizes.
        strides: in elements; None leaves the order to oneDNN.
    """

    shape: Ints
    strides: Ints | None = None

    @staticmethod
    def dense(shape: Ints, order: Sequence[int] | None = None) -> Form:
        """Without gaps; ``order`` names the dimensions from the outermost in memory."""
        strides, step = [0] * len(shape), 1
        for d in reversed(range(len(shape)) if order is None else order):
            strides[d] = step
            step *= max(shape[d], 1)
        return Form(shape, tuple(strides))

    @staticmethod
    def of(x: Any) -> Form:
        """As an array lies."""
        return Form(x.shape, tuple(s // x.itemsize for s in x.strides))


def dims(values: Iterable[int]) -> Any:
    """Integers as the library takes them."""
    given = tuple(values)
    return (c_int64 * max(len(given), 1))(*given)


class Builder:
    """Descriptors and the primitives made of them."""

    def __init__(self, library: Api, stack: ExitStack) -> None:
        self.library, self._stack = library, stack

    def form(self, form: Form | None) -> int | None:
        """A descriptor of memory, gone when the builder is left."""
        if form is None:
            return None
        new, shape = self.library.new, dims(form.shape)
        if form.strides is None:
            made = new("memory_desc_create_with_tag", len(form.shape), shape, F32, _ANY)
        else:
            made = new("memory_desc_create_with_strides", len(form.shape), shape, F32,
                       dims(form.strides))
        self._stack.callback(self.library.memory_desc_destroy, made)
        return made

    def describe(self, name: str, *arguments: Any) -> Description:
        """What ``name`` makes of its arguments: forms and descriptions as they are.

        Raises:
            Unimplemented: if there is no code for this, or only the plain reference.
        """
        given = [
            self.form(a) if isinstance(a, Form) else getattr(a, "handle", a) for a in arguments]
        made = Description(self.library, self.library.new(
            name, self.library.engine, *given, self.library.attributes))
        if made.implementation.startswith("ref"):
            raise Unimplemented(name)
        return made

    def reorder(self, source: Any, target: Any) -> Primitive:
        """A copy from one form, or descriptor, to another."""
        engine = self.library.engine
        a, b = (self.form(f) if isinstance(f, Form) else f for f in (source, target))
        made = self.library.new("reorder", a, engine, b, engine, self.library.attributes)
        return Primitive(Description(self.library, made), SRC, DST)

    def agree(self, form: Form, descriptor: int) -> bool:
        """Whether memory of a form may be given where a descriptor is wanted."""
        return bool(self.library.md_equal(self.form(form), descriptor))


class Description:
    """What a primitive does, and in which forms its tensors are wanted."""

    def __init__(self, library: Api, handle: int) -> None:
        self.library, self.handle = library, handle
        text = ctypes.c_char_p()
        library.query(handle, _IMPLEMENTATION, 0, ctypes.byref(text))
        self.implementation = (text.value or b"").decode()

    def __del__(self) -> None:
        self.library.primitive_desc_destroy(self.handle)

    def descriptor(self, place: int) -> int:
        """The descriptor of a tensor."""
        found: int = self.library.query_md(self.handle, _OF_ARGUMENT, place)
        return found

    def nbytes(self, place: int) -> int:
        """The size of a tensor."""
        return int(self.library.md_size(self.descriptor(place)))


class _Argument(ctypes.Structure):
    _fields_ = (("place", c_int), ("memory", c_void_p))


class _Call:
    """The arguments of one call at a time."""

    def __init__(self, library: Api, described: Description, places: Ints) -> None:
        self._destroy = library.memory_destroy
        self.memories = [
            library.new("memory_create", described.descriptor(p), library.engine, 0)
            for p in places
        ]
        self.array = (_Argument * len(places))(*map(_Argument, places, self.memories))

    def __del__(self) -> None:
        for memory in self.memories:
            self._destroy(memory)


class Primitive:
    """Compiled code for one case; any number of threads may call it at once.

    Args:
        described: what it does.
        places: of its tensors, in the order in which calls give their addresses.
    """

    def __init__(self, described: Description, *places: int) -> None:
        self.described, self._library = described, described.library
        self.handle = self._library.new("primitive_create", described.handle)
        self._scratch = described.nbytes(_SCRATCHPAD)
        self._places = (*places, _SCRATCHPAD) if self._scratch else places
        self._free: list[_Call] = []
        self._stream = _stream(self._library)

    def __del__(self) -> None:
        if hasattr(self, "handle"):
            self._library.primitive_destroy(self.handle)

    def __call__(self, *addresses: int) -> None:
        """Run it.

        Raises:
            BackendError: if oneDNN does.
        """
        try:
            call = self._free.pop()
        except IndexError:
            call = _Call(self._library, self.described, self._places)
        point = self._library.memory_set_data_handle
        for memory, address in zip(call.memories, addresses):  # noqa: B905  the scratchpad is last
            point(memory, address)
        if self._scratch:
            scratch = empty((self._scratch,), _BYTES)
            point(call.memories[-1], scratch.ctypes.data)
        self._library.primitive_execute(
            self.handle, self._stream, len(call.memories), call.array)
        self._free.append(call)


@cache
def _stream(library: Api) -> int:
    return library.new("stream_create", library.engine, 1)


@contextmanager
def builder() -> Iterator[Builder]:
    """Descriptors for the time of the block."""
    library = loaded()
    with ExitStack() as stack:
        stack.enter_context(alone(library))
        yield Builder(library, stack)
