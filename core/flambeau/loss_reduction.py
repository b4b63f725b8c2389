"""What losses share: the word that says how elements are put together."""

from __future__ import annotations

import warnings
from typing import Any

from flambeau.tensor import Tensor

WORDS = ("none", "mean", "sum")
LEGACY = "bool? size_average=None, bool? reduce=None, str reduction='mean'"
"""The end of most losses' schemas; the first two are PyTorch's older form of the third."""


def check_reduction(reduction: str) -> str:
    """The word itself.

    Raises:
        ValueError: if it is none that losses know.
    """
    if reduction not in WORDS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduction_of(size_average: Any, reduce: Any, reduction: str) -> str:
    """The word that the older flags stand for, if they are given."""
    if size_average is None and reduce is None:
        return reduction
    whole = "sum" if size_average is False else "mean"
    meant = "none" if reduce is False else whole
    warnings.warn(
        "size_average and reduce args will be deprecated, please use "
        f"reduction='{meant}' instead.", UserWarning, stacklevel=4)
    return meant


def reduced(loss: Tensor, reduction: str) -> Any:
    """The loss of each element, or their mean or sum."""
    if check_reduction(reduction) == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def warn_of_broadcasting(input: Tensor, target: Tensor) -> None:
    """Warn about shapes that differ: most often a dimension is missing."""
    if input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.", UserWarning, stacklevel=4)
