"""Makes the inputs of samples."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np

from flambeau import dtypes
from flambeau.device import device
from flambeau.dtypes import dtype as DType
from flambeau.kind import kind_of
from flambeau.tensor import Tensor
from flambeau_conformance.oracle import NAME
from flambeau_conformance.transfer import Array, from_host


class Maker:
    """The ``make`` that sample functions are given (:class:`flambeau.samples.Make`).

    Tensors are made on the oracle, from a seed of the suite, the op and the dtype: a device
    whose kernels do not work yet can still be given any sample, and adding an op changes the
    inputs of no other.

    Args:
        what: the dtype under test.
        name: what the seed is for, the op's name.
        seed: the suite's seed.
        grad: whether inputs that can be differentiated require a gradient.
    """

    def __init__(self, what: DType, name: str, seed: int = 0, grad: bool = False) -> None:
        self.dtype = what
        self._grad = grad
        self._random = np.random.default_rng([seed, zlib.crc32(name.encode()), what.index])

    def __call__(
        self, *shape: int, low: float | None = None, high: float | None = None,
        dtype: DType | None = None, requires_grad: bool | None = None,
    ) -> Tensor:
        """A tensor of uniform values in [low, high)."""
        what = self.dtype if dtype is None else dtype
        made = self._place(self._values(shape, what, low, high), what)
        wanted = self._grad if requires_grad is None else requires_grad and self._grad
        return made.requires_grad_() if wanted and what.category >= 2 else made

    def index(self, high: int, *shape: int) -> Tensor:
        """Integers in [0, high)."""
        return self._place(self._random.integers(0, high, shape), dtypes.int64)

    def mask(self, *shape: int) -> Tensor:
        """Booleans."""
        return self._place(self._random.integers(0, 2, shape).astype(bool), dtypes.bool)

    def distinct(self, *shape: int) -> Tensor:
        """A permutation of evenly spaced values around 0 (from 0 for unsigned integers).

        Complex numbers have no order: for a complex dtype the values are real.
        """
        count, what = math.prod(shape), self.dtype.to_real()
        values = self._random.permutation(count)
        if what.is_signed:
            values = values - count // 2
        array = (values * (0.25 if what.category >= 2 else 1)).reshape(shape)
        made = self._place(array, what)
        return made.requires_grad_() if self._grad and what.category >= 2 else made

    def _values(
        self, shape: tuple[int, ...], what: DType, low: float | None, high: float | None
    ) -> Array:
        if what.category == 0:
            return self._random.integers(0, 2, shape)
        if what.category == 1:
            return self._integers(shape, what, low, high)
        low, high = -2.0 if low is None else low, 2.0 if high is None else high
        values: Array = self._random.uniform(low, high, shape)
        if what.category == 3:
            imaginary: Any = self._random.uniform(-1, 1, shape)
            values = values + 1j * imaginary
        return values

    def _integers(
        self, shape: tuple[int, ...], what: DType, low: float | None, high: float | None
    ) -> Array:
        first = math.ceil(-5 if low is None else low)
        last = max(first + 1, math.ceil(5 if high is None else high))
        if not what.is_signed:
            first, last = max(first, 0), max(last, 1)
        return self._random.integers(first, last, shape)

    def _place(self, array: Any, what: DType) -> Tensor:
        return from_host(np.asarray(array).astype(what.numpy), kind_of(device(NAME), what))
