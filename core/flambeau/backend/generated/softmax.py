"""Softmax, its logarithm and their gradients: one kernel each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.rows import Part, RowKernels, Work, floating_of, like, split
from flambeau.codegen.kernels.rows import Let, Reduce, Step, Store
from flambeau.layout import Layout

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

_LARGEST: Final = Reduce((("most", "x", "max"),))
_FORWARD: Final[dict[str, tuple[Step, ...]]] = {
    "softmax_along": (
        _LARGEST, Reduce((("total", "exp(x - most)", "sum"),)),
        Store((("y", "exp(x - most) / total"),))),
    "log_softmax_along": (
        _LARGEST, Reduce((("total", "exp(x - most)", "sum"),)), Let("shift", "log(total)"),
        Store((("y", "x - most - shift"),))),
}
_BACKWARD: Final[dict[str, tuple[Step, ...]]] = {
    "softmax_backward": (
        Reduce((("along", "g * x", "sum"),)), Store((("y", "g * x - x * along"),))),
    "log_softmax_backward": (
        Reduce((("total", "g", "sum"),)), Store((("y", "g - exp(x) * total"),))),
}


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of the four ops."""
    rows, result = RowKernels(backend), KernelTable()
    for name, steps in _FORWARD.items():
        result.fresh[name] = _forward(rows, name, steps)
    for name, steps in _BACKWARD.items():
        result.fresh[name] = _backward(rows, name, steps)
    return result


def _forward(rows: RowKernels, name: str, steps: tuple[Step, ...]) -> Callable[..., Any]:
    def kernel(x: Strided, dim: int) -> Any:
        if not _is_along(x.layout, dim) or floating_of(x) is None:
            return NotImplemented
        return rows.run(name, dim, (x,), (), lambda: _work([x], dim, steps))[0]

    return kernel


def _backward(rows: RowKernels, name: str, steps: tuple[Step, ...]) -> Callable[..., Any]:
    def kernel(grad: Strided, output: Strided, dim: int) -> Any:
        if grad.shape != output.shape or not _is_along(output.layout, dim) or (
                floating_of(grad, output) is None or grad.dtype is not output.dtype):
            return NotImplemented
        return rows.run(
            name, dim, (output, grad), (), lambda: _work([output, grad], dim, steps))[0]

    return kernel


def _is_along(layout: Layout, dim: Any) -> bool:
    ndim = layout.ndim
    return isinstance(dim, int) and ndim > 0 and -ndim <= dim < ndim and layout.numel > 0


def _work(inputs: list[Strided], dim: int, steps: tuple[Step, ...]) -> Work:
    first = inputs[0].layout
    out, columns = like(first), (dim % first.ndim,)
    others = tuple(d for d in range(first.ndim) if d not in columns)
    parts: list[Part] = [
        split(name, n, layout, others, columns)
        for n, (name, layout) in enumerate(zip(
            ["x", "g", "y"] if len(inputs) == 2 else ["x", "y"],
            [*(x.layout for x in inputs), out], strict=True))]
    return Work(
        parts, [first.shape[d] for d in others], [first.shape[d] for d in columns], steps,
        [(inputs[0].dtype, out)], floating=floating_of(*inputs) or "f32")
