"""Sliding blocks as columns, and columns summed back: im2col and col2im."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau.ops.pad import constant_pad_nd
from flambeau.ops.shape import reshape, slice_dim
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor

Pair = tuple[int, int]


def _pair(name: str, word: str, value: Any, at_least: int) -> Pair:
    """One number for both dimensions, or two.

    Raises:
        RuntimeError: naming the argument, if there are not one or two or one is too small.
    """
    pair = (value, value) if isinstance(value, int) else tuple(map(int, value))
    if len(pair) == 1:
        pair = pair * 2
    if len(pair) != 2 or min(pair) < at_least:
        wanted = "greater than zero" if at_least else "non-negative"
        raise RuntimeError(f"{name}: {word} should be two numbers, {wanted}, but got {value}")
    return pair


def _counts(size: Pair, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Pair:
    """How many blocks fit along each dimension."""
    high, wide = (
        (size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
        for i in (0, 1))
    return high, wide


def _unfold_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(2, 3, 5, 4), (2, 3))
    yield sample(make(2, 5, 6), 2, 2, 1, (2, 1))
    yield sample(make(1, 1, 4, 4), (3, 2), (1, 2), (1, 0))


def _unfold_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "3D or 4D", make(3, 3), 2)
    yield error(RuntimeError, "kernel_size", make(1, 3, 3), 0)
    yield error(RuntimeError, "too small|blocks", make(1, 3, 3), 4)


@composite(
    "unfold(Tensor input, int[2] kernel_size, int[2] dilation=1, int[2] padding=0, "
    "int[2] stride=1) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False, dtypes="numeric",
    samples=_unfold_samples, errors=_unfold_errors,
    derivatives={"input": lambda g, input_shape, kernel_size, dilation, padding, stride: (
        fold(g, tuple(input_shape[-2:]), kernel_size, dilation, padding, stride))},
)
def unfold(
    input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Sliding blocks of (N, C, H, W) or (C, H, W) as columns: (N, C * kernel, blocks)."""
    kernel, gaps = _pair("unfold", "kernel_size", kernel_size, 1), _pair(
        "unfold", "dilation", dilation, 1)
    around, steps = _pair("unfold", "padding", padding, 0), _pair("unfold", "stride", stride, 1)
    if input.ndim not in (3, 4) or not all(input.shape[-3:]):
        raise RuntimeError(
            "unfold: Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other "
            f"non-zero dimensions for input, but got: {list(input.shape)}")
    high, wide = _counts(input.shape[-2:], kernel, gaps, around, steps)
    if high < 1 or wide < 1:
        raise RuntimeError(
            f"unfold: kernel {kernel} with dilation {gaps} and padding {around} is too large for "
            f"input {list(input.shape)}: the shape of the array of blocks would be "
            f"({high}, {wide}), but its components must be at least one")
    x = input if input.ndim == 4 else input.unsqueeze(0)
    if any(around):
        x = constant_pad_nd(x, (around[1], around[1], around[0], around[0]))
    for d in (0, 1):  # windows along a dimension, every `dilation`-th element of them
        x = x.unfold(2 + d, gaps[d] * (kernel[d] - 1) + 1, steps[d])
        x = slice_dim(x, -1, None, None, gaps[d])
    n, channels = x.shape[:2]
    columns = reshape(
        x.permute(0, 1, 4, 5, 2, 3), (n, channels * kernel[0] * kernel[1], high * wide))
    return columns if input.ndim == 4 else columns.squeeze(0)  # type: ignore[no-any-return]


def _fold_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(2, 12, 12), (4, 5), (2, 2))
    yield sample(make(4, 12), (4, 5), 2)
    yield sample(make(1, 6, 16), (4, 4), (3, 2), (1, 2), (1, 1))


def _fold_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "divisible by the product", make(1, 5, 12), (4, 5), 2)
    yield error(RuntimeError, "number of sliding blocks", make(1, 4, 5), (4, 5), 2)
    yield error(RuntimeError, "2D or 3D", make(4), (4, 5), 2)


@composite(
    "fold(Tensor input, int[2] output_size, int[2] kernel_size, int[2] dilation=1, "
    "int[2] padding=0, int[2] stride=1) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False, dtypes="numeric",
    samples=_fold_samples, errors=_fold_errors,
    derivatives={"input": lambda g, kernel_size, dilation, padding, stride: unfold(
        g, kernel_size, dilation, padding, stride)},
)
def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Columns (N, C * kernel, blocks) summed into an image (N, C, H, W) where blocks overlap."""
    size, kernel = _pair("fold", "output_size", output_size, 1), _pair(
        "fold", "kernel_size", kernel_size, 1)
    gaps, around = _pair("fold", "dilation", dilation, 1), _pair("fold", "padding", padding, 0)
    steps = _pair("fold", "stride", stride, 1)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"fold: Expected 2D or 3D (batch mode) tensor for input, but got {list(input.shape)}")
    area = kernel[0] * kernel[1]
    if input.shape[-2] % area:
        raise RuntimeError(
            "fold: Expected size of input's dimension 1 to be divisible by the product of "
            f"kernel_size, but got input.size(1)={input.shape[-2]} and kernel_size={kernel}.")
    high, wide = _counts(size, kernel, gaps, around, steps)
    if high * wide != input.shape[-1] or high < 1 or wide < 1:
        raise RuntimeError(
            f"fold: Given output_size={size}, kernel_size={kernel}, dilation={gaps}, "
            f"padding={around}, stride={steps}, expected size of input's dimension 2 to match "
            f"the calculated number of sliding blocks {high} * {wide} = {high * wide}, but got "
            f"input.size(2)={input.shape[-1]}.")
    x = input if input.ndim == 3 else input.unsqueeze(0)
    n, channels = x.shape[0], x.shape[1] // area
    blocks = reshape(x, (n, channels, *kernel, high, wide))
    whole: Tensor = x.new_zeros((n, channels, size[0] + 2 * around[0], size[1] + 2 * around[1]))
    for i in range(kernel[0]):
        rows = slice_dim(whole, 2, i * gaps[0], i * gaps[0] + (high - 1) * steps[0] + 1, steps[0])
        for j in range(kernel[1]):
            at = j * gaps[1]
            slice_dim(rows, 3, at, at + (wide - 1) * steps[1] + 1, steps[1]).add_(
                blocks[:, :, i, j])
    image = whole.narrow(2, around[0], size[0]).narrow(3, around[1], size[1])
    image = image.contiguous()
    return image if input.ndim == 3 else image.squeeze(0)
