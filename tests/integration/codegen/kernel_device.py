"""Devices whose kernels are called by hand, one op at a time, with NumPy arrays in and out."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flambeau.backend import Layout, Strided
from flambeau.backend.generated import Dialect, GeneratedBackend, Traits
from flambeau.dtypes import from_numpy_dtype
from flambeau.plugins import BackendUnavailable, backend_for

Array = np.ndarray[Any, Any]


class Device:
    """A generated backend that is called by hand."""

    def __init__(self, backend: GeneratedBackend, name: str = "") -> None:
        self.backend, self.name = backend, name

    def put(self, array: Any) -> Any:
        """Arrays as natives, with their strides; the rest as it is."""
        if isinstance(array, list):
            return [self.put(a) for a in array]
        if not isinstance(array, np.ndarray):
            return array
        owner: Any = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        offset = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
        strides = [s // array.itemsize for s in array.strides]
        buffer = self.backend.alloc(owner.nbytes, 0)
        memory = owner.ravel(order="K")
        if owner.nbytes:
            self.backend.copy_in(buffer, 0, memoryview(memory.view(np.uint8)), 0)
        return Strided(buffer, from_numpy_dtype(array.dtype),
                       Layout.of(array.shape, strides, offset // array.itemsize))

    def get(self, native: Any) -> Any:
        """Natives as arrays."""
        if isinstance(native, (tuple, list)):
            return type(native)(self.get(n) for n in native)
        if not isinstance(native, Strided):
            return native
        layout, what = native.layout, native.dtype.numpy
        nbytes = (layout.offset + layout.span()) * what.itemsize
        data = bytes(self.backend.copy_out(native.buffer, 0, nbytes, 0)) if nbytes else b""
        flat = np.frombuffer(data, what)[layout.offset:]
        return np.lib.stride_tricks.as_strided(
            flat, layout.shape, [s * what.itemsize for s in layout.strides]).copy()

    def native(self, op: str, *arguments: Any, **attributes: Any) -> Any:
        """What the fresh kernel of an op returns for arrays."""
        given = [self.put(a) for a in arguments]
        return self.backend.kernels.fresh[op](*given, **attributes)

    def run(self, op: str, *arguments: Any, **attributes: Any) -> Any:
        """The fresh kernel of an op, on arrays."""
        return self.get(self.native(op, *arguments, **attributes))


def c_backend() -> Any:
    """The backend over the host's compiler."""
    hostc = pytest.importorskip("flambeau_hostc.device", reason="flambeau-hostc is not installed")
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("no C compiler")

    class Poisoned(hostc.HostC):  # type: ignore[misc,name-defined]
        def alloc(self, nbytes: int, index: int) -> Any:
            return np.full(nbytes, 0xFF, np.uint8)  # nan: what a kernel does not write shows

    return Poisoned()


def opencl_backend(lanes: int = 1, dialect: Dialect | None = None) -> Any:
    """The OpenCL backend, as if its device had lanes."""
    try:
        made: Any = type(backend_for("opencl"))
    except BackendUnavailable as error:
        pytest.skip(f"no OpenCL device: {error.cause}")

    class Laned(made):  # type: ignore[misc]
        def traits(self, index: int) -> Traits:
            return replace(super().traits(index), lanes=lanes)

    if dialect is not None:
        Laned.dialect = dialect
    return Laned()
