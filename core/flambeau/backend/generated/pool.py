"""Pooling over sliding windows, and its gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.steps import Plans, Steps
from flambeau.codegen.dialects.base import Index
from flambeau.codegen.kernels.conv import Window
from flambeau.codegen.kernels.indexing import index_register
from flambeau.codegen.kernels.pool import Divisor, MaxGather, MaxPool, Mean, Spread
from flambeau.dtypes import dtype
from flambeau.layout import Layout, product
from flambeau.windows import Geometry

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

Ints = tuple[int, ...]


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of ``max_pool_windows``, ``avg_pool_windows`` and their adjoints."""
    kernels = PoolKernels(backend)
    return KernelTable(fresh={
        "max_pool_windows": kernels.max_windows,
        "max_pool_values": kernels.max_values,
        "max_pool_scatter": kernels.max_scatter,
        "max_pool_gather": kernels.max_gather,
        "avg_pool_windows": kernels.avg_windows,
        "avg_pool_spread": kernels.avg_spread,
    })


def is_pooled(x: Layout, geometry: Geometry) -> bool:
    """Whether a tensor is (N, C, *spatial) with windows; the decomposition says what is not."""
    n = len(geometry.kernel)
    return (
        n > 0 and x.ndim == n + 2 and all(len(v) == n for v in geometry[1:4])
        and min(geometry.stride) > 0 and min(geometry.kernel) > 0 and min(geometry.dilation) > 0
        and min(geometry.padding) >= 0 and (not x.shape[1] or min(x.shape[2:]) > 0)
        and min(geometry.counts(x.shape[2:])) > 0)


class PoolKernels:
    """The kernels of pooling."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.backend, self.plans = backend, Plans()

    # ---- greatest values ---------------------------------------------------------------------
    def max_windows(
        self, self_: Strided, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints,
        ceil_mode: bool,
    ) -> Any:
        """See :func:`flambeau.ops.max_pool.max_pool_windows`."""
        index = self.backend.index_of(self_.buffer)
        is_small = product(kernel_size) <= 255
        held = self.backend.capabilities(index).dtypes
        which = dtypes.uint8 if is_small and dtypes.uint8 in held else dtypes.int64
        return self.greatest(
            self_, Geometry(tuple(kernel_size), tuple(stride), tuple(padding), tuple(dilation),
                            ceil_mode), which, index)

    def max_values(
        self, self_: Strided, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints,
        ceil_mode: bool,
    ) -> Any:
        """See :func:`flambeau.ops.max_pool.max_pool_values`."""
        return self.greatest(
            self_, Geometry(tuple(kernel_size), tuple(stride), tuple(padding), tuple(dilation),
                            ceil_mode), None, self.backend.index_of(self_.buffer))

    def greatest(
        self, x: Strided, geometry: Geometry, which: dtype | None, index: int
    ) -> Any:
        """The values, and with a dtype for them the numbers of the elements that won."""
        if x.dtype.is_complex or x.dtype is dtypes.bool or not is_pooled(x.layout, geometry):
            return NotImplemented
        shape = (*x.layout.shape[:2], *geometry.counts(x.layout.shape[2:]))

        def spec(register: Index, size: int) -> Any:
            return MaxPool(x.dtype, which, window_of(geometry), register, size)

        kinds = (x.dtype,) if which is None else (x.dtype, which)
        results = self.run("max", kinds, shape, (x,), geometry, (), x.layout.shape[2:], spec, index)
        return results[0] if which is None else results

    def max_scatter(
        self, grad: Strided, which: Strided, size: Ints, kernel_size: Ints, stride: Ints,
        padding: Ints, dilation: Ints, ceil_mode: bool,
    ) -> Any:
        """See :func:`flambeau.ops.max_pool.max_pool_scatter`."""
        geometry = Geometry(
            tuple(kernel_size), tuple(stride), tuple(padding), tuple(dilation), ceil_mode)
        return self.spread(grad, which, tuple(size), geometry, Divisor(True, True), 1)

    def max_gather(
        self, self_: Strided, which: Strided, kernel_size: Ints, stride: Ints, padding: Ints,
        dilation: Ints, ceil_mode: bool,
    ) -> Any:
        """See :func:`flambeau.ops.max_pool.max_pool_gather`."""
        x, geometry = self_, Geometry(
            tuple(kernel_size), tuple(stride), tuple(padding), tuple(dilation), ceil_mode)
        if x.dtype.category != 2 or not is_pooled(x.layout, geometry):
            return NotImplemented
        shape = (*x.layout.shape[:2], *geometry.counts(x.layout.shape[2:]))
        if which.layout.shape != shape or which.dtype.category != 1:
            return NotImplemented

        def spec(register: Index, size: int) -> Any:
            return MaxGather(x.dtype, which.dtype, window_of(geometry), register, size)

        return self.run("gather", (x.dtype,), shape, (x, which), geometry, (),
                        x.layout.shape[2:], spec, self.backend.index_of(x.buffer))[0]

    # ---- means -------------------------------------------------------------------------------
    def avg_windows(
        self, self_: Strided, kernel_size: Ints, stride: Ints, padding: Ints, ceil_mode: bool,
        count_include_pad: bool, divisor_override: int | None,
    ) -> Any:
        """See :func:`flambeau.ops.avg_pool.avg_pool_windows`."""
        x, geometry = self_, Geometry(
            tuple(kernel_size), tuple(stride), tuple(padding), (1,) * len(kernel_size), ceil_mode)
        if x.dtype.category != 2 or divisor_override == 0 or not is_pooled(x.layout, geometry):
            return NotImplemented
        shape = (*x.layout.shape[:2], *geometry.counts(x.layout.shape[2:]))
        divisor = Divisor(count_include_pad, divisor_override is not None)

        def spec(register: Index, size: int) -> Any:
            return Mean(x.dtype, divisor, window_of(geometry), register, size)

        return self.run(f"avg{divisor}", (x.dtype,), shape, (x,), geometry,
                        (divisor_override or 1,), x.layout.shape[2:], spec,
                        self.backend.index_of(x.buffer))[0]

    def avg_spread(
        self, grad: Strided, size: Ints, kernel_size: Ints, stride: Ints, padding: Ints,
        ceil_mode: bool, count_include_pad: bool, divisor_override: int | None,
    ) -> Any:
        """See :func:`flambeau.ops.avg_pool.avg_pool_spread`."""
        if divisor_override == 0:
            return NotImplemented
        geometry = Geometry(
            tuple(kernel_size), tuple(stride), tuple(padding), (1,) * len(kernel_size), ceil_mode)
        divisor = Divisor(count_include_pad, divisor_override is not None)
        return self.spread(grad, None, tuple(size), geometry, divisor, divisor_override or 1)

    # ---- both --------------------------------------------------------------------------------
    def spread(
        self, grad: Strided, which: Strided | None, shape: Ints, geometry: Geometry,
        divisor: Divisor, given: int,
    ) -> Any:
        """The gradient of the input from that of the windows."""
        layout = Layout.contiguous(shape)
        if grad.dtype.category != 2 or not is_pooled(layout, geometry):
            return NotImplemented
        wanted = (*shape[:2], *geometry.counts(shape[2:]))
        if grad.layout.shape != wanted or (which is not None and (
                which.layout.shape != wanted or which.dtype.category != 1)):
            return NotImplemented
        code = None if which is None else which.dtype

        def spec(register: Index, size: int) -> Any:
            return Spread(grad.dtype, code, divisor, window_of(geometry), register, size)

        inputs = (grad,) if which is None else (grad, which)
        return self.run(f"spread{divisor}", (grad.dtype,), shape, inputs, geometry, (given,),
                        shape[2:], spec, self.backend.index_of(grad.buffer))[0]

    def run(
        self, kind: str, kinds: Sequence[dtype], shape: Ints, inputs: Sequence[Strided],
        geometry: Geometry, given: Ints, sizes: Ints, spec: Callable[[Index, int], Any],
        index: int,
    ) -> tuple[Strided, ...]:
        """New tensors of a shape, one item per element.

        Args:
            kinds: dtypes of the results.
            given: arguments before offsets and strides.
            sizes: spatial, of what the windows lie in.
        """
        key = (kind, *kinds, shape, *[(id(t.layout), t.dtype) for t in inputs], geometry, given,
               index)

        def make() -> Steps:
            layout = Layout.contiguous(shape)
            steps = Steps(len(kinds) + len(inputs), kept=(layout, *(t.layout for t in inputs)))
            size = self.backend.traits(index).group_size
            register = index_register(layout.numel + 2 * product(sizes), [
                (t.layout.offset, t.layout.shape, t.layout.strides) for t in inputs])
            made = spec(register, size)
            handle = self.backend.program(
                made, lambda: made.source(self.backend.dialect), index) if layout.numel else None
            strides = [v for t in inputs for v in (t.layout.offset, *t.layout.strides)]
            steps.add(handle, -(-layout.numel // size), range(len(kinds) + len(inputs)), (
                layout.numel, shape[1], *given, *strides, *sizes, *geometry.counts(sizes)))
            return steps

        steps = self.plans.obtain(key, make)
        layout = steps.kept[0]
        assert layout is not None
        results = tuple(
            Strided(self.backend.alloc(layout.numel * kind.itemsize, index), kind, layout)
            for kind in kinds)
        steps.run(self.backend, [t.buffer for t in (*results, *inputs)], index)
        return results


def window_of(geometry: Geometry) -> Window:
    """The windows without their counts."""
    return Window(*geometry[:4])
