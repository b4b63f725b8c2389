"""The shared library of oneDNN: found, loaded and checked when a kernel first needs it."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from ctypes import POINTER, byref, c_float, c_int, c_int64, c_uint, c_void_p
from pathlib import Path
from typing import Any, Final

from flambeau.backend import BackendError

SETTING: Final = os.environ.get("FLAMBEAU_ONEDNN", "")
IS_OFF: Final = SETTING == "0"
_MAJOR: Final = 3
"""The version of oneDNN's C interface that this package is written for."""
_DECLINES: Final = (2, 3)  # arguments that it does not take, cases without code

Dims = POINTER(c_int64)
_P, _HANDLE = c_void_p, POINTER(c_void_p)  # an object; where a new one is written
_WINDOW: Final = (Dims,) * 4
_FUNCTIONS: Final[dict[str, tuple[Any, ...]]] = {
    "engine_create": (_HANDLE, c_int, ctypes.c_size_t),
    "stream_create": (_HANDLE, _P, c_uint),
    "memory_desc_create_with_strides": (_HANDLE, c_int, Dims, c_int, Dims),
    "memory_desc_create_with_tag": (_HANDLE, c_int, Dims, c_int, c_int),
    "memory_desc_destroy": (_P,),
    "memory_create": (_HANDLE, _P, _P, _P),
    "memory_set_data_handle": (_P, _P),
    "memory_destroy": (_P,),
    "primitive_attr_create": (_HANDLE,),
    "primitive_attr_set_scratchpad_mode": (_P, c_int),
    "primitive_desc_destroy": (_P,),
    "primitive_create": (_HANDLE, _P),
    "primitive_execute": (_P, _P, c_int, _P),
    "primitive_destroy": (_P,),
    "reorder": (_HANDLE, _P, _P, _P, _P, _P),
    "matmul": (_HANDLE, _P, _P, _P, _P, _P, _P),
    "convolution_forward": (_HANDLE, _P, c_int, c_int, _P, _P, _P, _P, *_WINDOW, _P),
    "convolution_backward_data": (_HANDLE, _P, c_int, _P, _P, _P, *_WINDOW, _P, _P),
    "convolution_backward_weights": (_HANDLE, _P, c_int, _P, _P, _P, _P, *_WINDOW, _P, _P),
    "eltwise_forward": (_HANDLE, _P, c_int, c_int, _P, _P, c_float, c_float, _P),
    "eltwise_backward": (_HANDLE, _P, c_int, _P, _P, _P, c_float, c_float, _P, _P),
    "softmax_forward": (_HANDLE, _P, c_int, c_int, _P, _P, c_int, _P),
    "softmax_backward": (_HANDLE, _P, c_int, _P, _P, _P, c_int, _P, _P),
    "layer_normalization_forward": (_HANDLE, _P, c_int, _P, _P, _P, c_float, c_uint, _P),
    "layer_normalization_backward": (
        _HANDLE, _P, c_int, _P, _P, _P, _P, c_float, c_uint, _P, _P),
    "batch_normalization_forward": (_HANDLE, _P, c_int, _P, _P, c_float, c_uint, _P),
    "batch_normalization_backward": (_HANDLE, _P, c_int, _P, _P, _P, c_float, c_uint, _P, _P),
    "pooling_forward": (_HANDLE, _P, c_int, c_int, _P, _P, *_WINDOW, Dims, _P),
    "pooling_backward": (_HANDLE, _P, c_int, _P, _P, *_WINDOW, Dims, _P, _P),
}
_OBJECTS: Final = ("engine", "stream", "memory", "primitive")


class Unimplemented(BackendError):
    """oneDNN has no code for a case."""


class Refused(Exception):
    """A library is not used, and why."""


class Api:
    """The functions of a loaded library, without ``dnnl_``; a failing one raises.

    Attributes:
        path: where the library lies.
        version: for instance "3.2.0".
        engine: the processor.
        attributes: settings of all primitives: who calls brings the scratch memory.
    """

    memory_desc_destroy: Any
    memory_set_data_handle: Any
    memory_destroy: Any
    primitive_desc_destroy: Any
    primitive_destroy: Any

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            library = ctypes.PyDLL(path)  # most calls are shorter than to let the lock go
            self.version = _version(library)
            for name, kinds in _FUNCTIONS.items():
                setattr(self, name, _checked(library, name, kinds))
            self.primitive_execute = _checked(
                ctypes.CDLL(path), "primitive_execute", _FUNCTIONS["primitive_execute"])
            self.query_md = library.dnnl_primitive_desc_query_md
            self.query = library.dnnl_primitive_desc_query
            self.md_size = library.dnnl_memory_desc_get_size
            self.md_equal = library.dnnl_memory_desc_equal
            self.threads = library.omp_get_max_threads  # libgomp's, which it brings along
            self.set_threads = library.omp_set_num_threads
        except (OSError, AttributeError) as error:
            raise Refused(f"{path}: {error}") from error
        self.query_md.restype, self.query_md.argtypes = c_void_p, [c_void_p, c_int, c_int]
        self.query.restype = c_int
        self.query.argtypes = [c_void_p, c_int, c_int, c_void_p]
        self.md_size.restype, self.md_size.argtypes = ctypes.c_size_t, [c_void_p]
        self.md_equal.restype, self.md_equal.argtypes = c_int, [c_void_p, c_void_p]
        self.engine = self.new("engine_create", 1, 0)
        self.attributes = self.new("primitive_attr_create")
        self.call("primitive_attr_set_scratchpad_mode", self.attributes, 1)  # the caller's

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function.

        Raises:
            Unimplemented: if there is no code for this case.
            BackendError: if it fails.
        """
        getattr(self, name)(*arguments)

    def new(self, name: str, *arguments: Any) -> int:
        """The object that a function creates."""
        handle = c_void_p()
        self.call(name, byref(handle), *arguments)
        return handle.value or 0


def _checked(library: Any, name: str, kinds: tuple[Any, ...]) -> Any:
    suffix = "" if name.split("_")[0] in _OBJECTS else "_primitive_desc_create"
    function = getattr(library, f"dnnl_{name}{suffix}")
    function.argtypes, function.restype = kinds, c_int
    function.errcheck = _check
    return function


def _check(status: int, function: Any, arguments: Any) -> None:
    if status in _DECLINES:
        raise Unimplemented(function.__name__)
    if status:
        raise BackendError(f"cpu: {function.__name__} of oneDNN fails with status {status}")


class _Version(ctypes.Structure):
    _fields_ = (("numbers", c_int * 3), ("hash", ctypes.c_char_p), ("runtimes", c_uint * 2))


def _version(library: Any) -> str:
    """The version of a library of the right one.

    Raises:
        Refused: if it is another.
    """
    library.dnnl_version.restype = POINTER(_Version)
    numbers = list(library.dnnl_version().contents.numbers)
    version = ".".join(map(str, numbers))
    if numbers[0] != _MAJOR:
        raise Refused(f"oneDNN {version}: its interface is not that of {_MAJOR}.x")
    return version


def candidates() -> Iterator[str]:
    """Where the library may be."""
    if SETTING:
        yield SETTING
        return
    import site
    from ctypes.util import find_library

    for prefix in (sys.prefix, site.getuserbase()):  # where pip puts it
        if (path := Path(prefix, "lib", f"libdnnl.so.{_MAJOR}")).exists():
            yield str(path)
    if name_on_system := find_library("dnnl"):
        yield name_on_system


reasons: Final[list[str]] = []
"""Why libraries that were found are not used."""
_lock: Final = threading.Lock()


_found: Final[list[Api | None]] = []


def api() -> Api | None:
    """The library, or None if there is none that can be used."""
    if not _found:
        with _lock:
            if not _found:
                _found.append(_load())
    return _found[0]


def _load() -> Api | None:
    for path in candidates():
        try:
            return Api(path)
        except (Refused, BackendError) as error:
            reasons.append(str(error))
    return None


def loaded() -> Api:
    """The library.

    Raises:
        BackendError: if there is none; kernels ask ``api`` before they come here.
    """
    found = api()
    if found is None:
        raise BackendError(f"cpu: oneDNN is {state()}")
    return found


def state() -> str:
    """What ``flambeau doctor`` says of it."""
    if IS_OFF:
        return "off (FLAMBEAU_ONEDNN=0)"
    found = api()
    if found is not None:
        return f"{found.version} ({found.path})"
    return "; ".join(reasons) or 'not found; pip install "flambeau[onednn]" brings it'
