"""Pooling over sliding windows, and its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

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


class Task(NamedTuple):
    """What a call computes: an element of the results per item.

    Attributes:
        kinds: dtypes of the results.
        shape: of each.
        geometry: the windows.
        sizes: spatial, of what the windows lie in.
        given: arguments before offsets and strides.
        spec: makes the kernel for a type of indices and a group size.
    """

    kinds: tuple[dtype, ...]
    shape: Ints
    geometry: Geometry
    sizes: Ints
    given: Ints
    spec: Callable[[Window, Index, int], Any]


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
        windows = (kernel_size, stride, padding, dilation, ceil_mode)
        return self.run(("max", windows), (self_,), lambda: self.greatest(self_, windows, True))

    def max_values(
        self, self_: Strided, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints,
        ceil_mode: bool,
    ) -> Any:
        """See :func:`flambeau.ops.max_pool.max_pool_values`."""
        windows = (kernel_size, stride, padding, dilation, ceil_mode)
        return self.run(
            ("values", windows), (self_,), lambda: self.greatest(self_, windows, False))

    def greatest(self, x: Strided, windows: Any, is_which: bool) -> Task | None:
        """The values, and perhaps the numbers of the elements that won."""
        geometry = geometry_of(*windows)
        if x.dtype.is_complex or x.dtype is dtypes.bool or not is_pooled(x.layout, geometry):
            return None
        held = self.backend.capabilities(self.backend.index_of(x.buffer)).dtypes
        is_small = product(geometry.kernel) <= 255 and dtypes.uint8 in held
        which = (dtypes.uint8 if is_small else dtypes.int64) if is_which else None
        return Task(
            (x.dtype,) if which is None else (x.dtype, which), pooled(x.layout, geometry),
            geometry, x.layout.shape[2:], (),
            lambda window, index, size: MaxPool(x.dtype, which, window, index, size))

    def max_scatter(
        self, grad: Strided, which: Strided, size: Ints, kernel_size: Ints, stride: Ints,
        padding: Ints, dilation: Ints, ceil_mode: bool,
    ) -> Any:
        """See :func:`flambeau.ops.max_pool.max_pool_scatter`."""
        windows = (kernel_size, stride, padding, dilation, ceil_mode)
        return self.run(("scatter", size, windows), (grad, which), lambda: spread(
            grad, which, size, geometry_of(*windows), Divisor(True, True), 1))

    def max_gather(
        self, self_: Strided, which: Strided, kernel_size: Ints, stride: Ints, padding: Ints,
        dilation: Ints, ceil_mode: bool,
    ) -> Any:
        """See :func:`flambeau.ops.max_pool.max_pool_gather`."""
        x, windows = self_, (kernel_size, stride, padding, dilation, ceil_mode)

        def prepare() -> Task | None:
            geometry = geometry_of(*windows)
            if x.dtype.category != 2 or not is_pooled(x.layout, geometry):
                return None
            shape = pooled(x.layout, geometry)
            if which.layout.shape != shape or which.dtype.category != 1:
                return None
            return Task(
                (x.dtype,), shape, geometry, x.layout.shape[2:], (),
                lambda window, index, size: MaxGather(x.dtype, which.dtype, window, index, size))

        return self.run(("gather", windows), (x, which), prepare)

    # ---- means -------------------------------------------------------------------------------
    def avg_windows(
        self, self_: Strided, kernel_size: Ints, stride: Ints, padding: Ints, ceil_mode: bool,
        count_include_pad: bool, divisor_override: int | None,
    ) -> Any:
        """See :func:`flambeau.ops.avg_pool.avg_pool_windows`."""
        x, windows = self_, (kernel_size, stride, padding, (1,) * len(kernel_size), ceil_mode)

        def prepare() -> Task | None:
            geometry = geometry_of(*windows)
            if x.dtype.category != 2 or divisor_override == 0 or not is_pooled(x.layout, geometry):
                return None
            divisor = Divisor(count_include_pad, divisor_override is not None)
            return Task(
                (x.dtype,), pooled(x.layout, geometry), geometry, x.layout.shape[2:],
                (divisor_override or 1,),
                lambda window, index, size: Mean(x.dtype, divisor, window, index, size))

        return self.run(("mean", windows, count_include_pad, divisor_override), (x,), prepare)

    def avg_spread(
        self, grad: Strided, size: Ints, kernel_size: Ints, stride: Ints, padding: Ints,
        ceil_mode: bool, count_include_pad: bool, divisor_override: int | None,
    ) -> Any:
        """See :func:`flambeau.ops.avg_pool.avg_pool_spread`."""
        windows = (kernel_size, stride, padding, (1,) * len(kernel_size), ceil_mode)
        return self.run(
            ("spread", size, windows, count_include_pad, divisor_override), (grad,),
            lambda: None if divisor_override == 0 else spread(
                grad, None, size, geometry_of(*windows),
                Divisor(count_include_pad, divisor_override is not None), divisor_override or 1))

    # ---- running -----------------------------------------------------------------------------
    def run(
        self, key: tuple[Any, ...], inputs: tuple[Strided, ...],
        prepare: Callable[[], Task | None],
    ) -> Any:
        """New tensors.

        Args:
            key: all that the call depends on but the inputs.
            prepare: says what to do, or that the decomposition must say what is wrong.
        """
        index = self.backend.index_of(inputs[0].buffer)
        whole = (key, *[id(t.layout) for t in inputs], *[t.dtype for t in inputs], index)
        try:
            steps = self.plans.get(whole)
        except TypeError:  # sizes in a list
            return NotImplemented
        if steps is None:
            task = prepare()
            if task is None:
                return NotImplemented
            steps = self.plans.keep(whole, self.plan(task, inputs, index))
        results = [
            Strided(self.backend.alloc(layout.numel * kind.itemsize, index), kind, layout)
            for kind, layout in steps.results]
        steps.run(self.backend, [t.buffer for t in (*results, *inputs)], index)
        return results[0] if len(results) == 1 else tuple(results)

    def plan(self, task: Task, inputs: tuple[Strided, ...], index: int) -> Steps:
        """The launch of a task."""
        layout = Layout.contiguous(task.shape)
        count = len(task.kinds) + len(inputs)
        steps = Steps(count, kept=tuple(t.layout for t in inputs),
                      results=tuple((kind, layout) for kind in task.kinds))
        if not layout.numel:
            return steps
        size = self.backend.traits(index).group_size
        register = index_register(layout.numel + 2 * product(task.sizes), [
            (t.layout.offset, t.layout.shape, t.layout.strides) for t in inputs])
        spec = task.spec(Window(*task.geometry[:4]), register, size)
        handle = self.backend.program(spec, lambda: spec.source(self.backend.dialect), index)
        strides = [v for t in inputs for v in (t.layout.offset, *t.layout.strides)]
        steps.add(handle, -(-layout.numel // size), range(count), (
            layout.numel, task.shape[1], *task.given, *strides, *task.sizes,
            *task.geometry.counts(task.sizes)))
        return steps


def geometry_of(
    kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> Geometry:
    """The windows."""
    return Geometry(tuple(kernel), tuple(stride), tuple(padding), tuple(dilation), ceil_mode)


def pooled(x: Layout, geometry: Geometry) -> Ints:
    """The shape of the result."""
    return (*x.shape[:2], *geometry.counts(x.shape[2:]))


def spread(
    grad: Strided, which: Strided | None, size: Ints, geometry: Geometry, divisor: Divisor,
    given: int,
) -> Task | None:
    """The gradient of the input from that of the windows."""
    layout = Layout.contiguous(tuple(size))
    if grad.dtype.category != 2 or not is_pooled(layout, geometry):
        return None
    wanted = pooled(layout, geometry)
    if grad.layout.shape != wanted or (which is not None and (
            which.layout.shape != wanted or which.dtype.category != 1)):
        return None
    code = None if which is None else which.dtype
    return Task(
        (grad.dtype,), layout.shape, geometry, layout.shape[2:], (given,),
        lambda window, index, size: Spread(grad.dtype, code, divisor, window, index, size))
