"""Orthogonal polynomials by their recurrences (DLMF 18.9)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from flambeau.modes import every_sample
from flambeau.ops.compare import where
from flambeau.ops.pointwise import as_tensors, floating_type
from flambeau.ops.rounding import trunc
from flambeau.registry import composite
from flambeau.samples import Make, Sample, broadcast_errors, sample

Step = Callable[[Any, Any, Any, int], Any]
"""x, the polynomials of degree k and k - 1, k -> that of degree k + 1."""


def _samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), make.index(6, 3, 4).to(make.dtype))
    yield sample(make(3, 4), 3)
    yield sample(make(3, 1), make.index(9, 4))


def _register(name: str, words: str, first: Callable[[Any], Any], step: Step, limit: Any) -> None:
    def polynomial(self: Any, n: Any) -> Any:
        x, degree = as_tensors(self, n, floating_type(self, n))
        degree = trunc(degree)
        size = x.dtype.itemsize
        seen = every_sample(degree)
        greatest = int(seen.max().item()) if seen.numel() else 0
        most = None if limit is None else limit[size > 4]
        top = greatest if most is None else min(greatest, most)
        before, now = x * 0 + 1, first(x)
        result = where(degree == 0, before, where(degree < 0, 0.0, now))
        for k in range(1, top):
            before, now = now, step(x, now, before, k)
            result = where(degree == k + 1, now, result)
        return result if most is None else where(degree > most, math.nan, result)

    polynomial.__doc__ = words
    composite(
        f"{name}(Operand self, Operand n) -> Tensor", namespaces=("special",), method=False,
        samples=_samples, errors=broadcast_errors,
    )(polynomial)


def _chebyshev(x: Any, now: Any, before: Any, k: int) -> Any:
    return 2 * x * now - before


def _shifted(x: Any, now: Any, before: Any, k: int) -> Any:
    return (4 * x - 2) * now - before


for _kind, _number, _first, _shifted_first in (
    ("t", "first", lambda x: x, lambda x: 2 * x - 1),
    ("u", "second", lambda x: 2 * x, lambda x: 4 * x - 2),
    ("v", "third", lambda x: 2 * x - 1, lambda x: 4 * x - 3),
    ("w", "fourth", lambda x: 2 * x + 1, lambda x: 4 * x - 1),
):
    _words = f"The Chebyshev polynomial of the {_number} kind, of degree n"
    _register(f"chebyshev_polynomial_{_kind}", f"{_words}.", _first, _chebyshev, None)
    _register(f"shifted_chebyshev_polynomial_{_kind}", f"{_words}, of 2x - 1.", _shifted_first,
              _shifted, None)
_register(
    "hermite_polynomial_h", "The physicist's Hermite polynomial of degree n.", lambda x: 2 * x,
    lambda x, now, before, k: 2 * (x * now - k * before), (128, 512))
_register(
    "hermite_polynomial_he", "The probabilist's Hermite polynomial of degree n.", lambda x: x,
    lambda x, now, before, k: x * now - k * before, (128, 512))
_register(
    "laguerre_polynomial_l", "The Laguerre polynomial of degree n.", lambda x: 1 - x,
    lambda x, now, before, k: ((2 * k + 1 - x) * now - k * before) / (k + 1), None)
_register(
    "legendre_polynomial_p", "The Legendre polynomial of degree n.", lambda x: x,
    lambda x, now, before, k: ((2 * k + 1) * x * now - k * before) / (k + 1), None)
