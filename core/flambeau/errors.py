"""Exceptions that carry more than a message."""

from __future__ import annotations

from typing import Any


class BackendError(RuntimeError):
    """A backend was asked for something that it does not have."""


class MissingKernelError(NotImplementedError, BackendError):
    """No kernel and no decomposition for an op on a device."""

    def __init__(self, op: str, device: str, detail: str = "") -> None:
        self.op, self.device = op, device
        message = (
            f"{op}: the backend {device!r} has no kernel for it and it has no decomposition. "
            f"Register one with @kernels.register({op!r}) in that backend, or move the inputs to "
            f'another device, for example x.to("cpu"), or let such ops run on the CPU with '
            f'flambeau.fallback.set_policy("warn"); `flambeau conformance {device}` lists what is '
            "missing."
        )
        super().__init__(f"{message} {detail}".rstrip())
        self._detail = detail

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return (type(self), (self.op, self.device, self._detail))


class UnsupportedDtypeError(TypeError, BackendError):
    """A device does not hold a dtype, by its own declaration.

    Attributes:
        dtype: the dtype, where the core found out; None where a backend raised this.
    """

    dtype: Any = None


class OutOfMemoryError(RuntimeError):
    """A device could not give the memory asked for."""


class LayoutError(NotImplementedError):
    """An operation that tensors of a sparse layout do not have."""


class AcceleratorError(BackendError):
    """A device failed while it computed; what it had in its memory may be lost."""
