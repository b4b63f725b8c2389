"""Normal random numbers within bounds, by rejection.

Where the bounds hold much of the distribution, normal candidates are drawn; else uniform ones,
each accepted with the probability that the density has at its place relative to the peak.  Every
round draws for all elements, also those that are settled, as PyTorch does: the numbers that
follow in the stream depend on it.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

from flambeau.ops.compare import where
from flambeau.tensor import Tensor

T = TypeVar("T", bound=Tensor)

_MOSTLY_INSIDE = 0.3


def truncated_normal_(
    tensor: T, mean: float, std: float, a: float, b: float, generator: Any
) -> T:
    """Draw every element from N(mean, std**2) within [a, b]."""
    if tensor.device.type == "meta":
        return tensor
    inside = _cdf((b - mean) / std) - _cdf((a - mean) / std)
    if inside > _MOSTLY_INSIDE:
        return _from_normal(tensor, mean, std, a, b, generator)
    return _from_uniform(tensor, mean, std, a, b, generator)


def _cdf(x: float) -> float:
    """The distribution function of the standard normal distribution."""
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def _from_normal(
    tensor: T, mean: float, std: float, a: float, b: float, generator: Any
) -> T:
    low, high = tensor.new_tensor(a), tensor.new_tensor(b)  # rounded as the values are
    tensor.normal_(mean, std, generator=generator)
    outside = (tensor < low) | (tensor > high)
    while bool(outside.any()):
        again = tensor.new_empty(tensor.shape).normal_(mean, std, generator=generator)
        tensor.copy_(where(outside, again, tensor))
        outside = (tensor < low) | (tensor > high)
    return tensor


def _from_uniform(
    tensor: T, mean: float, std: float, a: float, b: float, generator: Any
) -> T:
    peak = max(a, min(mean, b))
    log_peak = -0.5 * ((peak - mean) / std) ** 2

    def rejected(candidates: Tensor) -> Tensor:
        log_density = ((candidates - mean) / std) ** 2 * -0.5 - log_peak
        level = candidates.new_empty(candidates.shape).uniform_(generator=generator)
        # The logarithm in double precision, then rounded: the same bits on every device.
        result: Tensor = level.double().log().to(level.dtype) > log_density
        return result

    tensor.uniform_(a, b, generator=generator)
    pending = rejected(tensor)
    while bool(pending.any()):
        candidates = tensor.new_empty(tensor.shape).uniform_(a, b, generator=generator)
        tensor.copy_(where(pending, candidates, tensor))
        pending = pending & rejected(candidates)
    return tensor
