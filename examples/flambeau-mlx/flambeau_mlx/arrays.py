"""MLX arrays as the adapter needs them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

import mlx.core as mx

from flambeau.backend import Layout, dtype, dtypes
from flambeau.backend.functional import ArrayLibrary, Number

DTYPES: Final[dict[dtype, mx.Dtype]] = {
    dtypes.bool: mx.bool_, dtypes.uint8: mx.uint8, dtypes.int8: mx.int8, dtypes.int16: mx.int16,
    dtypes.int32: mx.int32, dtypes.int64: mx.int64, dtypes.float16: mx.float16,
    dtypes.bfloat16: mx.bfloat16, dtypes.float32: mx.float32, dtypes.complex64: mx.complex64,
}
"""Without float64: MLX has it on the CPU only, and computes its exp, sin and cos in single."""
_FLAMBEAU: Final = {theirs: ours for ours, theirs in DTYPES.items()}

_PROCESS: Final = os.getpid()


def check_process() -> None:
    """Refuse to compute in a forked child, where MLX would wait for threads that are not there.

    Raises:
        RuntimeError: in a process that was forked from the one which loaded MLX.
    """
    if os.getpid() != _PROCESS:
        raise RuntimeError(
            "mlx: MLX cannot compute in a forked process; start processes by 'spawn', or keep "
            "tensors of forked data loader workers on the cpu")


class MlxArrays(ArrayLibrary):
    """Lazy arrays: nothing is computed until somebody asks for a value."""

    is_deferred = True

    def from_host(self, values: Any) -> mx.array:
        """A copy of a NumPy array."""
        return mx.array(values)

    def to_host(self, array: mx.array) -> memoryview:
        """MLX's memory itself, as bfloat16 has no name in the buffer protocol as its bits."""
        check_process()
        if array.dtype == mx.bfloat16:
            array = array.view(mx.uint16)
        return memoryview(mx.contiguous(array))

    def dtype_of(self, array: mx.array) -> dtype:
        """The element type."""
        return _FLAMBEAU[array.dtype]

    def full(self, shape: Sequence[int], what: dtype, value: Number) -> mx.array:
        """An array of one number."""
        return mx.full(shape, bool(value) if what is dtypes.bool else value, DTYPES[what])

    def reshape(self, array: mx.array, shape: Sequence[int]) -> mx.array:
        """Another shape."""
        return mx.reshape(array, shape)

    def transpose(self, array: mx.array, axes: Sequence[int]) -> mx.array:
        """Another order of dimensions."""
        return mx.transpose(array, axes)

    def broadcast(self, array: mx.array, shape: Sequence[int]) -> mx.array:
        """Repeated dimensions."""
        return mx.broadcast_to(array, shape)

    def convert(self, array: mx.array, what: dtype) -> mx.array:
        """Values in another dtype; narrow integers through int64, so that they wrap around."""
        return mx.astype(array, DTYPES[what])

    def update(self, array: mx.array, part: tuple[slice, ...], values: mx.array) -> mx.array:
        """A copy with a slice replaced: assignment to an ``mx.array`` rebinds that one alone."""
        result = mx.array(array)
        result[part] = values
        return result

    def take(self, flat: mx.array, places: mx.array) -> mx.array:
        """Elements of a vector."""
        return mx.take(flat, places)

    def put(self, flat: mx.array, places: mx.array, values: mx.array) -> mx.array:
        """A copy with some elements replaced."""
        result = mx.array(flat)
        result[places] = values
        return result

    def bitcast(self, flat: mx.array, what: dtype) -> mx.array:
        """The same bytes."""
        return flat.view(DTYPES[what])

    def strided(self, flat: mx.array, layout: Layout) -> mx.array:
        """MLX arrays have strides inside; a repeated one is written out first."""
        return mx.as_strided(mx.contiguous(flat), layout.shape, layout.strides, layout.offset)

    def start(self, arrays: list[mx.array]) -> None:
        """Compute in the background."""
        check_process()
        mx.async_eval(arrays)

    def wait(self, arrays: list[mx.array]) -> None:
        """Compute, and wait for whatever was started before."""
        check_process()
        mx.eval(arrays)
        mx.synchronize()
