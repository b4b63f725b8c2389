"""Elementwise arithmetic of three tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau.ops.pointwise import add, conj_of, mul
from flambeau.promotion import computation_type
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), make(3, 4), make(3, 4, low=0.5, high=2))
    yield sample(make(3, 4), make(3, 1), make(4, low=0.5, high=2), value=2)
    yield sample(make(), make(), make(low=0.5, high=2))
    yield sample(make(0, 4), make(4), make(1, low=0.5, high=2))
    yield sample(make(4, 3).t(), make(3, 4), make(3, 4, low=0.5, high=2))


def _errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "must match the size", make(3), make(2), make(3))
    yield error(TypeError, "must be Tensor", make(3), make(3), 2.0)


@composite(
    "addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    formula="self + value * tensor1 * tensor2",
    dtypes="numeric", inplace=True, samples=_samples, errors=_errors,
    derivatives={
        "self": lambda g: g,
        "tensor1": lambda g, tensor2, value: g * conj_of(tensor2 * value),
        "tensor2": lambda g, tensor1, value: g * conj_of(tensor1 * value),
    },
)
def addcmul(self: Tensor, tensor1: Tensor, tensor2: Tensor, value: Any = 1) -> Any:
    """``self + value * tensor1 * tensor2``."""
    return add(self, mul(tensor1, tensor2) if value == 1 else mul(tensor1, value) * tensor2)


@composite(
    "addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    formula="self + value * tensor1 / tensor2",
    dtypes="floating_complex", inplace=True, samples=_samples, errors=_errors,
    derivatives={
        "self": lambda g: g,
        "tensor1": lambda g, tensor2, value: g * conj_of(value / tensor2),
        "tensor2": lambda g, tensor1, tensor2, value: -g * conj_of(
            value * tensor1 / (tensor2 * tensor2)),
    },
)
def addcdiv(self: Tensor, tensor1: Tensor, tensor2: Tensor, value: Any = 1) -> Any:
    """``self + value * tensor1 / tensor2``."""
    if computation_type(tensor1, tensor2).category < 2:
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported: convert one of the tensors "
            "with .float(), or use addcmul() with a floor_divide() or trunc() quotient."
        )
    return add(self, tensor1 / tensor2 if value == 1 else mul(tensor1, value) / tensor2)


def _lerp_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), make(3, 4), 0.3)
    yield sample(make(3, 4), make(4), 0.75)
    yield sample(make(3, 4), make(3, 4), make(3, 4, low=0, high=1))
    yield sample(make(), make(), make(3, low=0, high=1))
    yield sample(make(0, 4), make(4), 0.5)


def _lerp_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "expected dtype", make(3), make.index(2, 3), 0.5)
    yield error(RuntimeError, "must match the size", make(3), make(2), 0.5)


@composite(
    "lerp(Tensor self, Tensor end, Operand weight) -> Tensor",
    formula=(
        "w = end - self; abs(weight) < 0.5 ? self + weight * w : end - w * (1 - weight)"),
    dtypes="floating_complex",
    inplace=True, samples=_lerp_samples, errors=_lerp_errors,
    derivatives={
        "self": lambda g, weight: g * conj_of(1 - weight),
        "end": lambda g, weight: g * conj_of(weight),
        "weight": lambda g, self, end: g * conj_of(end - self),
    },
)
def lerp(self: Tensor, end: Tensor, weight: Any) -> Any:
    """``self + weight * (end - self)``, exact at both ends."""
    for name, t in (("end", end), ("weight", weight)):
        if isinstance(t, Tensor) and t.dtype is not self.dtype and (name == "end" or t.ndim):
            raise RuntimeError(
                f"lerp: expected dtype {self.dtype.name} for `{name}` but got dtype {t.dtype.name}"
            )
    way = end - self
    if not isinstance(weight, Tensor):
        return self + weight * way if _size(weight) < 0.5 else end - way * (1 - weight)
    from flambeau.ops.compare import where

    return where(weight.abs() < 0.5, self + weight * way, end - way * (1 - weight))


def _size(weight: Any) -> float:
    size: float = weight.__abs__()
    return size
