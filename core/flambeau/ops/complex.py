"""Complex numbers and their parts."""

from __future__ import annotations

from flambeau.dispatch import from_storage
from flambeau.kind import kind_of
from flambeau.layout import Layout
from flambeau.registry import composite
from flambeau.samples import error, sample, unary, unary_errors
from flambeau.tensor import Tensor


def _real_view(self: Tensor) -> Tensor:
    """The real view of complex memory: another dtype over the same storage."""
    if not self.dtype.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    held = self.layout_()
    layout = Layout.of(
        (*held.shape, 2), (*(2 * s for s in held.strides), 1), 2 * held.offset)
    return from_storage(kind_of(self.device, self.dtype.to_real()), self.storage(), layout)


@composite(
    "view_as_real(Tensor self) -> Tensor", dtypes="complex", out=False,
    derivatives={"self": lambda g: view_as_complex(g.contiguous())},
    samples=unary(), errors=lambda make: iter([error(RuntimeError, "complex", make(3))]),
)
def view_as_real(self: Tensor) -> Tensor:
    """A view of complex numbers as pairs (real, imaginary) in a new last dimension."""
    return _real_view(self)


@composite(
    "view_as_complex(Tensor self) -> Tensor", out=False,
    derivatives={"self": lambda g: view_as_real(g.contiguous())},
    samples=lambda make: iter([sample(make(3, 2)), sample(make(2, 4, 2))]),
    errors=lambda make: iter([error(RuntimeError, "size 2", make(3, 3))]),
)
def view_as_complex(self: Tensor) -> Tensor:
    """A view of pairs (real, imaginary) in the last dimension as complex numbers."""
    held = self.layout_()
    if not self.dtype.is_floating_point:
        raise RuntimeError(f"view_as_complex is only supported for floating tensors, "
                           f"got {self.dtype}")
    if not held.ndim or held.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if held.strides[-1] != 1 or held.offset % 2 or any(s % 2 for s in held.strides[:-1]):
        raise RuntimeError("Tensor must have a last dimension with stride 1 and even strides")
    layout = Layout.of(held.shape[:-1], [s // 2 for s in held.strides[:-1]], held.offset // 2)
    return from_storage(kind_of(self.device, self.dtype.to_complex()), self.storage(), layout)


@composite("conj(Tensor self) -> Tensor", dtypes="all", out=False, samples=unary(),
           errors=unary_errors, aliases=("conj_physical",))
def conj(self: Tensor) -> Tensor:
    """The complex conjugate; real tensors as they are."""
    if not self.dtype.is_complex:
        return self
    result: Tensor = complex(real(self), -imag(self))
    return result


def real(input: Tensor) -> Tensor:
    """The real part, a view; real tensors as they are."""
    if not input.dtype.is_complex:
        return input
    return view_as_real(input).select(-1, 0)  # type: ignore[no-any-return]


def imag(input: Tensor) -> Tensor:
    """The imaginary part, a view.

    Raises:
        RuntimeError: for real tensors.
    """
    if not input.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return view_as_real(input).select(-1, 1)  # type: ignore[no-any-return]


@composite(
    "complex(Tensor real, Tensor imag) -> Tensor", dtypes="floating", method=False,
    samples=lambda make: iter([sample(make(3), make(3))]),
    errors=lambda make: iter([
        error(RuntimeError, "same dtype|Expected", make(3), make.index(2, 3))]),
)
def complex(real: Tensor, imag: Tensor) -> Tensor:
    """Complex numbers from their parts."""
    from flambeau.ops.join import stack

    if real.dtype is not imag.dtype or not real.dtype.is_floating_point:
        raise RuntimeError(
            "Expected both inputs to be floating tensors of the same dtype but got "
            f"{real.dtype.name} and {imag.dtype.name}")
    from flambeau.layout import broadcast_shapes

    shape = broadcast_shapes(real.shape, imag.shape)
    result: Tensor = view_as_complex(stack([real.expand(shape), imag.expand(shape)], -1))
    return result


Tensor.real, Tensor.imag = property(real), property(imag)
