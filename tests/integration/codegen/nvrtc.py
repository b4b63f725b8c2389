"""NVIDIA's runtime compiler through ctypes: it makes machine code without a driver or a GPU."""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path


@cache
def library() -> ctypes.CDLL | None:
    """The compiler of the wheel ``nvidia-cuda-nvrtc-cu12``, if it is installed."""
    found = importlib.util.find_spec("nvidia")
    for place in (found.submodule_search_locations or ()) if found else ():
        for path in sorted(Path(place, "cuda_nvrtc", "lib").glob("libnvrtc.so.*")):
            return ctypes.CDLL(str(path))
    return None


def to_cubin(text: str, flags: tuple[str, ...], arch: str) -> tuple[int, str]:
    """Compile; gives the size of the machine code (0 if it fails), and what was printed."""
    nvrtc = library()
    assert nvrtc is not None
    program = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None)
    options = [f"--gpu-architecture={arch}".encode(), *(f.encode() for f in flags)]
    array = (ctypes.c_char_p * len(options))(*options)
    status = nvrtc.nvrtcCompileProgram(program, len(options), array)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    cubin = ctypes.c_size_t()
    if status == 0:
        nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(cubin))
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return (cubin.value if status == 0 else 0), log.value.decode()
