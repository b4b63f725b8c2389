"""Rearrangements between channels and pixels."""

from __future__ import annotations

from collections.abc import Iterator

from flambeau.ops.shape import permute, reshape
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _check(name: str, input: Tensor, factor: int, word: str) -> None:
    if input.ndim < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with "
            f"{input.ndim} dimension(s)")
    if factor <= 0:
        raise RuntimeError(f"{name} expects a positive {word}, but got {factor}")


def _errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "at least 3 dimensions", make(3, 3), 2)
    yield error(RuntimeError, "positive", make(4, 4, 4), 0)
    yield error(RuntimeError, "divisible", make(3, 3, 3), 2)


def _shuffle_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(2, 8, 3, 2), 2)
    yield sample(make(9, 2, 2), 3)
    yield sample(make(0, 4, 2, 2), 2)


@composite(
    "pixel_shuffle(Tensor self, int upscale_factor) -> Tensor", dtypes="all",
    namespaces=("", "nn.functional"), method=False, out=False, samples=_shuffle_samples,
    errors=_errors,
)
def pixel_shuffle(self: Tensor, upscale_factor: int) -> Tensor:
    """(..., C r^2, H, W) to (..., C, H r, W r)."""
    r = upscale_factor
    _check("pixel_shuffle", self, r, "upscale_factor")
    *batch, channels, height, width = self.shape
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by {r * r}")
    n = len(batch)
    parts = reshape(self, (*batch, channels // (r * r), r, r, height, width))
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    result: Tensor = reshape(
        permute(parts, order), (*batch, channels // (r * r), height * r, width * r))
    return result


def _unshuffle_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(2, 2, 6, 4), 2)
    yield sample(make(1, 3, 3), 3)


@composite(
    "pixel_unshuffle(Tensor self, int downscale_factor) -> Tensor", dtypes="all",
    namespaces=("", "nn.functional"), method=False, out=False, samples=_unshuffle_samples,
    errors=_errors,
)
def pixel_unshuffle(self: Tensor, downscale_factor: int) -> Tensor:
    """(..., C, H r, W r) to (..., C r^2, H, W): the inverse of ``pixel_shuffle``."""
    r = downscale_factor
    _check("pixel_unshuffle", self, r, "downscale_factor")
    *batch, channels, height, width = self.shape
    for word, size in (("height", height), ("width", width)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {word} to be divisible by downscale_factor, but {size} "
                f"is not divisible by {r}")
    n = len(batch)
    parts = reshape(self, (*batch, channels, height // r, r, width // r, r))
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
    result: Tensor = reshape(
        permute(parts, order), (*batch, channels * r * r, height // r, width // r))
    return result


@composite(
    "channel_shuffle(Tensor self, int groups) -> Tensor", dtypes="all",
    namespaces=("", "nn.functional"), method=False, out=False, errors=_errors,
    samples=lambda make: iter([sample(make(2, 6, 3), 3), sample(make(1, 4, 2, 2), 2)]),
)
def channel_shuffle(self: Tensor, groups: int) -> Tensor:
    """Channels (the second dimension) of several groups dealt out in turn."""
    if self.ndim < 3:
        raise RuntimeError(
            "channel_shuffle expects input with at least 3 dimensions, but got input with sizes "
            f"{list(self.shape)}")
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    batch, channels, *spatial = self.shape
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and "
            f"{groups} groups.")
    parts = reshape(self, (batch, groups, channels // groups, *spatial))
    result: Tensor = reshape(parts.transpose(1, 2), self.shape)
    return result


@composite(
    "native_channel_shuffle(Tensor self, int groups) -> Tensor", dtypes="all",
    namespaces=("", "nn.functional"), method=False, out=False, errors=_errors,
    samples=lambda make: iter([sample(make(2, 6, 3), 3), sample(make(1, 4, 2, 2), 2)]),
)
def native_channel_shuffle(self: Tensor, groups: int) -> Tensor:
    """Another name of :func:`channel_shuffle`."""
    result: Tensor = channel_shuffle(self, groups)
    return result
