"""What an OpenCL error means, in words and types of flambeau."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pyopencl as cl

from flambeau.backend import BackendError, OutOfMemoryError

_NO_MEMORY: Final = {
    cl.status_code.MEM_OBJECT_ALLOCATION_FAILURE, cl.status_code.OUT_OF_HOST_MEMORY,
    cl.status_code.INVALID_BUFFER_SIZE,
}
_LOST: Final = {
    cl.status_code.DEVICE_NOT_AVAILABLE, cl.status_code.INVALID_COMMAND_QUEUE,
    cl.status_code.INVALID_CONTEXT, cl.status_code.EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST,
    -9999,  # NVIDIA: a kernel read or wrote where it must not
}


def is_out_of_memory(error: Any) -> bool:
    """Whether an error of pyopencl says that memory is short."""
    return isinstance(error, cl.MemoryError) or error.code in _NO_MEMORY


def translated(error: Any, name: str, action: str) -> RuntimeError:
    """The exception of flambeau that tells what an error of pyopencl means.

    Args:
        error: the ``pyopencl.Error``.
        name: the device's name.
        action: what was being done, such as "launch of the kernel 'add'".
    """
    if is_out_of_memory(error):
        return OutOfMemoryError(f"opencl: {action} failed on {name}: it is out of memory ({error})")
    if error.code in _LOST:
        return BackendError(
            f"opencl: the device {name} was lost during {action} ({error}): its driver was reset, "
            "or a kernel before it failed. What it held is gone; start a new process."
        )
    return BackendError(f"opencl: {action} failed on {name}: {error}")


@contextmanager
def told(name: str, action: str) -> Iterator[None]:
    """Turn errors of pyopencl into errors of flambeau."""
    try:
        yield
    except cl.Error as error:
        raise translated(error, name, action) from error
