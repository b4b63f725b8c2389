"""Comparison of a device's result with the oracle's, and the words for a difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from flambeau.dtypes import dtype, finfo
from flambeau_conformance.tolerances import OpClass, bound
from flambeau_conformance.transfer import Array


class ConformanceFailure(AssertionError):
    """A device does not do what is asked of it."""


@dataclass(slots=True)
class Want:
    """What the oracle says: values in its wide dtype, and how far off is still right."""

    values: Array
    low: Array | None = None
    """Least and greatest values of the op near the inputs, once they have been looked for."""
    high: Array | None = None


def mismatches(got: Array, want: Want, what: dtype, group: OpClass) -> Array:
    """Where values differ by more than the table allows.

    Args:
        got: the device's values, of dtype ``what``.
        want: the oracle's.
    """
    if what.category < 2:
        low = want.values if want.low is None else want.low
        high = want.values if want.high is None else want.high
        if want.low is None:
            return np.asarray(got != want.values)
        return np.asarray((got < low) | (got > high))
    if what.category == 3:
        return _apart_complex(got, want, what, group)
    return _apart(got.astype(np.float64), want, what, group)


def _apart(got: Array, want: Want, what: dtype, group: OpClass) -> Array:
    values = want.values.astype(np.float64)
    low = values if want.low is None else want.low
    high = values if want.high is None else want.high
    relative, absolute = bound(what, group)
    with np.errstate(all="ignore"):
        allowed = relative * np.maximum(abs(low), abs(high)) + absolute * _scale(values)
        rounded = values.astype(what.numpy).astype(np.float64)
        close = (got >= low - allowed) & (got <= high + allowed)
        same = (got == rounded) | (np.isnan(got) & np.isnan(values))
        # A value at the edge of the range may round to infinity or to the greatest number.
        edge = np.isinf(got) & (abs(values) >= finfo(what).max * (1 - 8 * finfo(what).eps))
        edge &= np.sign(got) == np.sign(values)
    return np.asarray(~(close | same | edge))


def _apart_complex(got: Array, want: Want, what: dtype, group: OpClass) -> Array:
    values = want.values.astype(np.complex128)
    relative, absolute = bound(what, group)
    with np.errstate(all="ignore"):
        spread = 0.0 if want.low is None else abs(want.high - want.low)
        allowed = relative * abs(values) + absolute * _scale(abs(values)) + spread
        close = abs(got.astype(np.complex128) - values) <= allowed
        same = (got == values) | (np.isnan(got) & np.isnan(values))
    return np.asarray(~(close | same))


def _scale(values: Array) -> float:
    finite = np.abs(values[np.isfinite(values)]) if values.size else values
    return max(1.0, float(finite.max())) if finite.size else 1.0


def describe(got: Array, want: Want, bad: Array, what: dtype) -> str:
    """The first difference: where, what came, what should have come, how many ulp apart."""
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    here, there = got[at], want.values[at]
    lines = [
        f"first difference at index {at} of shape {got.shape}, "
        f"{int(bad.sum())} of {bad.size} differ",
        f"  got  {_number(here)}",
        f"  want {_number(there)}",
    ]
    if what.category == 2 and np.isfinite(here) and np.isfinite(there):
        apart = abs(float(here) - float(there))
        lines.append(f"  ulp  {apart / ulp(float(there), what):.3g}")
    return "\n".join(lines)


def ulp(value: float, what: dtype) -> float:
    """The distance of neighbouring numbers of a dtype at a value."""
    limits = finfo(what)
    exponent = np.frexp(max(abs(value), limits.tiny))[1]
    return float(limits.eps * 2.0 ** (int(exponent) - 1))


def _number(value: Any) -> str:
    number = value.item() if isinstance(value, np.generic) else value
    return repr(float(number)) if type(number).__module__ == "ml_dtypes" else repr(number)


def require(condition: bool, message: str) -> None:
    """Fail with a message unless a condition holds."""
    if not condition:
        raise ConformanceFailure(message)
