"""The meta device: shapes and dtypes without data.

Its kernels do nothing, so every op whose parts are registered works on it: what comes out has
the right shape, dtype and strides.  The shapes of composites are found by running their
decomposition here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from flambeau import dtypes
from flambeau.backend import Backend, Capabilities, KernelTable
from flambeau.device import META
from flambeau.registry import Op, Result


def _nothing(*args: Any, **kwargs: Any) -> None:
    """The kernel of every primitive on the meta device."""


class _EveryKernel(dict[str, Callable[..., Any]]):
    """A table that has a do-nothing kernel for each primitive, and none for composites."""

    def get(self, name: str, default: Any = None) -> Any:
        from flambeau.registry import OPS

        op = OPS.get(name)
        return _nothing if op is None or op.kind == "primitive" else default


class MetaBackend(Backend):
    """A device that holds no data."""

    name = "meta"
    kernels: ClassVar[KernelTable] = KernelTable(out=_EveryKernel())
    _capabilities = Capabilities(
        dtypes=frozenset((*dtypes.ALL, *dtypes.OPTIONAL)), deterministic=True, thread_safe=True,
        fork_safe=True,
    )

    def device_count(self) -> int:
        """There is one."""
        return 1

    def alloc(self, nbytes: int, index: int) -> Any:
        """No memory."""
        return None

    def copy_in(self, buffer: Any, offset: int, data: memoryview, index: int) -> None:
        """Nothing to write to."""

    def copy_out(self, buffer: Any, offset: int, nbytes: int, index: int) -> bytes:
        """Refuse: there is no data."""
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")

    def copy_device(
        self, to: Any, to_offset: int, source: Any, source_offset: int, nbytes: int, index: int
    ) -> None:
        """Nothing to copy."""

    def synchronize(self, index: int) -> None:
        """Nothing runs."""

    def capabilities(self, index: int) -> Capabilities:
        """All dtypes."""
        return self._capabilities

    def device_info(self, index: int) -> dict[str, str]:
        """What it is."""
        return {"name": "shapes and dtypes only"}


def results_of(op: Op, args: tuple[Any, ...]) -> tuple[Result, ...]:
    """Shapes and dtypes of the results of a composite, found on the meta device."""
    from flambeau.autograd.grad_mode import no_grad

    assert op.decompose is not None
    with no_grad():
        out = op.decompose(*(_to_meta(a) for a in args))
    outs = out if isinstance(out, (tuple, list)) else (out,)
    return tuple(Result(t.shape, t.dtype, t.stride()) for t in outs)


def _to_meta(value: Any) -> Any:
    from flambeau.dispatch import empty
    from flambeau.kind import kind_of
    from flambeau.layout import Layout
    from flambeau.tensor import Tensor

    if isinstance(value, Tensor):
        held = value.layout_()
        return empty(kind_of(META, value.dtype), Layout.of(held.shape, held.strides))
    if isinstance(value, (list, tuple)):
        return type(value)(_to_meta(v) for v in value)
    return value
