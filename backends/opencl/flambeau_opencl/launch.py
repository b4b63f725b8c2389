"""Setting a kernel's arguments and enqueueing it, in as few steps as pyopencl has.

The steps are those of pyopencl's own typed kernels: one call sets all buffers, another packs and
sets all numbers, a third enqueues.  For each signature they are written out once as a function,
because a loop over the arguments takes longer than they do.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, Final

import pyopencl as cl

from flambeau.backend.generated import Parameter

_LONG: Final = "lL" if struct.calcsize("l") == 8 else "qQ"
CHARACTERS: Final = {
    "bool": "B", "i8": "b", "u8": "B", "i16": "h", "u16": "H", "i32": "i", "u32": "I",
    "i64": _LONG[0], "u64": _LONG[1], "f32": "f", "f64": "d",
}
"""How a number of each type is packed, in the words of :mod:`struct`."""
_PACKED_BY_PYOPENCL: Final = "bBhHiIlLfd"

Launch = Callable[[int, Sequence[Any]], None]
"""``launch(groups, arguments)`` enqueues; from any thread."""


class PerThread(threading.local):
    """A kernel and its setters for each thread: arguments are part of a kernel's state.

    Args:
        make: makes a ``pyopencl.Kernel``; called once in each thread.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self.renew()

    def renew(self) -> tuple[Any, ...]:
        """A kernel for this thread, in the place of one that was dropped or of none."""
        kernel = self._make()
        self.parts = (
            kernel, kernel._set_arg_multi, kernel._set_arg_buf_pack_multi,
            kernel._set_arg_buf_multi,
        )
        return self.parts

    def drop(self) -> None:
        """Give up this thread's kernel; the next launch makes it anew."""
        self.__dict__.pop("parts", None)

    def replace(self, refuse: Callable[..., Any]) -> None:
        """Let what this thread launches be refused."""
        self.parts = (None, refuse, refuse, refuse)


def launcher(
    own: PerThread, parameters: Sequence[Parameter], queue: Any, group_size: int,
    failed: Callable[[Any, Callable[[], Any]], None],
) -> Launch:
    """The function that launches a kernel.

    Args:
        own: the kernel.
        parameters: in order; a number's type is a key of :data:`CHARACTERS`.
        queue: where it is enqueued.
        group_size: work items per group.
        failed: is given a ``pyopencl.Error`` and what enqueues again; raises unless that helps.
    """
    signature = "".join("*" if p.is_buffer else CHARACTERS[p.type] for p in parameters)
    return _maker(signature)(own, queue, group_size, (group_size,), failed)


@cache
def _maker(signature: str) -> Callable[..., Launch]:
    """Makes launch functions of a signature: "*" for a buffer, else the character of a number."""
    scope: dict[str, Any] = {
        "enqueue": cl.enqueue_nd_range_kernel, "Error": cl.Error, "pack": struct.pack,
        "partial": partial}
    exec(_text(signature), scope)
    maker: Callable[..., Launch] = scope["make"]
    return maker


def _text(signature: str) -> str:
    arguments = [(n, f"a{n}", c) for n, c in enumerate(signature)]
    buffers = [f"{n}, {a}" for n, a, c in arguments if c == "*"]
    numbers = [f"{n}, {c.encode()!r}, {a}" for n, a, c in arguments if c in _PACKED_BY_PYOPENCL]
    packed = [f"{n}, pack({c!r}, {a})" for n, a, c in arguments if c in "qQ"]
    steps = [
        f"            {setter}(({', '.join(given)},))" for setter, given in
        (("set_buffers", buffers), ("set_numbers", numbers), ("set_packed", packed)) if given]
    return "\n".join([
        "def make(own, queue, size, local, failed):",
        "    def launch(groups, arguments):",
        f"        [{', '.join(a for _, a, _ in arguments)}] = arguments",
        "        try:",
        "            kernel, set_buffers, set_numbers, set_packed = own.parts",
        "        except AttributeError:",
        "            kernel, set_buffers, set_numbers, set_packed = own.renew()",
        "        try:",
        *steps,
        "            enqueue(queue, kernel, (groups * size,), local)",
        "        except Error as error:",
        "            failed(error, partial(enqueue, queue, kernel, (groups * size,), local))",
        "    return launch",
    ])
