"""Moving modules between devices and dtypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import flambeau as fb
from flambeau.autograd.grad_mode import no_grad
from flambeau.dtypes import dtype as DType
from flambeau.nn.modules._tables import Tables
from flambeau.nn.parameter import Parameter, is_lazy
from flambeau.ops.memory import parse_to
from flambeau.tensor import Tensor

Convert = Callable[[Tensor], Tensor]


class Conversion(Tables):
    """The part of a module that changes where and as what its tensors are held.

    Parameters stay the same objects (optimizers go on referring to them); only what they hold
    is replaced.  Buffers are replaced.
    """

    def _apply(self, fn: Convert, recurse: bool = True) -> Self:
        """Replace every parameter's data and gradient and every buffer by ``fn`` of it."""
        if recurse:
            for child in self._modules.values():
                if child is not None:
                    child._apply(fn)
        for parameter in self._parameters.values():
            if parameter is not None:
                _convert_parameter(parameter, fn)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move parameters and buffers: ``to(device)``, ``to(dtype)``, ``to(device, dtype)``,
        ``to(tensor)``, ``to(memory_format=...)``.

        Only floating and complex tensors change their dtype; integer ones just move.

        Raises:
            TypeError: for a dtype that is neither floating nor complex.
        """
        where, what, _, memory_format = parse_to(args, kwargs)
        if what is not None and not (what.is_floating_point or what.is_complex):
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, but got desired "
                f"dtype={what}")

        def convert(t: Tensor) -> Tensor:
            new = what if t.dtype.is_floating_point or t.dtype.is_complex else None
            ordered = memory_format is not None and not is_lazy(t) and t.dim() in (4, 5)
            return t.to(
                device=where, dtype=new, memory_format=memory_format if ordered else None)

        return self._apply(convert)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Move to a device without copying the values: the memory there is uninitialised."""
        return self._apply(lambda t: fb.empty_like(t, device=device), recurse=recurse)

    def cpu(self) -> Self:
        """Move to the CPU."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device: Any = None) -> Self:
        """Move to a CUDA device."""
        return self._apply(lambda t: t.cuda(device))

    def type(self, dst_type: Any) -> Self:
        """Convert all parameters and buffers, integer ones too."""
        return self._apply(lambda t: t.to(_dtype_named(dst_type)))

    def float(self) -> Self:
        """Convert floating tensors to single precision."""
        return self._apply(_floating_to(fb.float32))

    def double(self) -> Self:
        """Convert floating tensors to double precision."""
        return self._apply(_floating_to(fb.float64))

    def half(self) -> Self:
        """Convert floating tensors to half precision."""
        return self._apply(_floating_to(fb.float16))

    def bfloat16(self) -> Self:
        """Convert floating tensors to ``bfloat16``."""
        return self._apply(_floating_to(fb.bfloat16))


def _floating_to(what: DType) -> Convert:
    return lambda t: t.to(what) if t.dtype.is_floating_point else t


def _dtype_named(what: Any) -> DType:
    if isinstance(what, DType):
        return what
    if isinstance(what, str):
        name = what.rpartition(".")[2].removesuffix("Tensor").lower()
        found = getattr(fb, name or "float32", None)
        if isinstance(found, DType):
            return found
    raise TypeError(f"dtype must be a dtype or the name of a tensor type, not {what!r}")


def _convert_parameter(parameter: Parameter, fn: Convert) -> None:
    with no_grad():
        changed = fn(parameter)
        if is_lazy(parameter):
            parameter._kind = changed._kind
            return
        if changed is not parameter:
            parameter.data = changed
        grad = parameter._grad
        if grad is not None:
            grad.data = fn(grad)


