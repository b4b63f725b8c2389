"""Private names of ``torch.distributions.utils`` that libraries use."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributions.utils import sum_rightmost

_sum_rightmost = sum_rightmost


def _standard_normal(shape: Any, dtype: fb.dtype, device: Any) -> fb.Tensor:
    """Numbers of the standard normal distribution."""
    return fb.normal(
        fb.zeros(shape, dtype=dtype, device=device), fb.ones(shape, dtype=dtype, device=device))
