"""Draws from weighted categories (PyTorch's ``multinomial``)."""

from __future__ import annotations

import numpy as np

from flambeau.rng.continuous import exponential
from flambeau.rng.elements import FLOATING, HALF
from flambeau.rng.engine import Generator
from flambeau.rng.types import I64, Array
from flambeau.rng.uniform import all_unit64


def multinomial(
    generator: Generator, probs: Array, num_samples: int, replacement: bool = False
) -> I64:
    """Indices of categories, drawn in proportion to their weights, as ``torch.multinomial``.

    With replacement: the place of a uniform among the running sums of the weights.  Without, or
    for a single sample: the categories with the largest ``weight / exponential``.  Equal ones,
    which half types give now and then, come in the order of their index; PyTorch's order of
    those is its sorting algorithm's.

    Args:
        probs: weights of one row, ``(categories,)``, or several, ``(rows, categories)``.  The
            exponentials are drawn in the order in which memory holds the weights.

    Returns:
        int64 of shape ``(num_samples,)`` or ``(rows, num_samples)``.

    Raises:
        RuntimeError: a weight is negative or not finite, the weights of a row sum to 0, there
            are fewer categories than samples to be drawn without replacement, or the shape, the
            dtype or ``num_samples`` is wrong.
    """
    _check(probs, num_samples, replacement)
    rows = probs.reshape(-1, probs.shape[-1])
    if replacement and num_samples > 1:
        picked = _by_running_sum(generator, rows, num_samples)
    else:
        picked = _by_race(generator, rows, num_samples)
    return picked.reshape(*probs.shape[:-1], num_samples)


def _check(probs: Array, num_samples: int, replacement: bool) -> None:
    if probs.ndim not in (1, 2):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, but has shape {probs.shape}")
    if probs.dtype.name not in FLOATING:
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {probs.dtype}"
        )
    if num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples, got {num_samples}")
    if not replacement and num_samples > probs.shape[-1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement, "
            f"got {num_samples} samples of {probs.shape[-1]} categories"
        )
    if not np.all((probs >= 0) & np.isfinite(probs)):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if not np.all(np.any(probs > 0, axis=-1)):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")


def _by_running_sum(generator: Generator, rows: Array, num_samples: int) -> I64:
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.cumsum(rows, axis=1, dtype=np.float32 if rows.dtype.name in HALF else rows.dtype)
        sums /= sums[:, -1:].copy()
    uniforms = all_unit64(generator, rows.shape[0] * num_samples).reshape(-1, num_samples)
    picked = [
        np.searchsorted(row, u) for row, u in zip(sums.astype(np.float64), uniforms, strict=True)
    ]
    return np.array(picked, np.int64).reshape(-1, num_samples)


def _by_race(generator: Generator, rows: Array, num_samples: int) -> I64:
    name = rows.dtype.name
    if abs(rows.strides[0]) < abs(rows.strides[1]):  # drawn in the order of memory
        arrival = exponential(generator, rows.shape[::-1], name).T
    else:
        arrival = exponential(generator, rows.shape, name)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        score = rows / arrival
    if num_samples == 1:
        best: I64 = np.argmax(score, axis=1)
        return best.reshape(-1, 1)
    order: I64 = np.argsort(-score, axis=1, kind="stable")
    return np.ascontiguousarray(order[:, :num_samples])
