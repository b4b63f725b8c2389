"""The partial inverse of max pooling: values back to where they came from, zeros elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flambeau import dtypes
from flambeau.layout import product
from flambeau.modes import every_sample
from flambeau.ops.max_pool import pool_sizes
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor

Ints = tuple[int, ...]


def _output_sizes(
    sizes: Sequence[int], kernel: Ints, stride: Ints, padding: Ints, wanted: Any
) -> Ints:
    """The sizes of the result: those of which pooling makes the input, or others given near them.

    Raises:
        ValueError: for sizes that pooling would not have turned into the input's.
    """
    n = len(kernel)
    usual = tuple(
        (size - 1) * s + k - 2 * p
        for size, k, s, p in zip(sizes, kernel, stride, padding, strict=True))
    if wanted is None:
        return usual
    given = tuple(int(v) for v in wanted)
    given = given[2:] if len(given) == n + 2 else given
    if len(given) != n:
        raise ValueError(
            f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a "
            f"length of '{len(given)}'")
    for d, size in enumerate(given):
        least, most = usual[d] - stride[d], usual[d] + stride[d]
        if not least < size < most:
            raise ValueError(
                f'invalid output_size "{given}" (dim {d} must be between {least} and {most})')
    return given


def _check(name: str, n: int, input: Tensor, indices: Tensor) -> None:
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"{name}: Input to max_unpooling{n}d should be a {n + 1}d or {n + 2}d Tensor, but got "
            f"a tensor with {input.ndim} dimensions.")
    if indices.dtype is not dtypes.int64:
        raise RuntimeError(
            f"{name}: elements in indices should be type int64 but got: {indices.dtype.name}")
    if indices.shape != input.shape:
        raise RuntimeError(
            f"{name}: Expected shape of indices to be same as that of the input tensor "
            f"({list(input.shape)}) but got indices tensor with shape: {list(indices.shape)}")


def _unpool(
    name: str, n: int, input: Tensor, indices: Tensor, kernel_size: Any, stride: Any,
    padding: Any, output_size: Any,
) -> Any:
    kernel = pool_sizes(name, "kernel_size", kernel_size, n)
    steps = kernel if stride is None else pool_sizes(name, "stride", stride, n)
    pads = pool_sizes(name, "padding", padding, n)
    _check(name, n, input, indices)
    sizes = _output_sizes(input.shape[input.ndim - n :], kernel, steps, pads, output_size)
    lead, volume = tuple(input.shape[: input.ndim - n]), product(sizes)
    seen = every_sample(indices)
    if seen.numel() and seen.device.type != "meta":
        bad = ((seen < 0) | (seen >= volume)).any()
        if bool(bad):
            raise RuntimeError(
                f"{name}: Found an invalid max index: {seen.max().item()} (output volumes are "
                f"of size {'x'.join(map(str, sizes))})")
    zeros = input.new_zeros((*lead, volume))
    flat = (*lead, product(input.shape[len(lead) :]))
    filled = zeros.scatter(-1, indices.reshape(flat), input.reshape(flat))
    return filled.reshape((*lead, *sizes))


def _make_unpool(n: int) -> Any:
    name = f"max_unpool{n}d"

    def samples(make: Make) -> Iterator[Sample]:
        from flambeau.ops.max_pool import max_pool1d, max_pool2d, max_pool3d

        pool = (max_pool1d, max_pool2d, max_pool3d)[n - 1]
        pooled, where = pool(
            make.distinct(2, 3, *(6, 4, 4)[:n]).detach(), 2, return_indices=True)
        yield Sample((make(*pooled.shape), where, 2), name="plain")
        yield Sample((make(*pooled.shape[1:]), where[0], 2), name="unbatched")
        larger = [size * 2 + 1 for size in pooled.shape[2:]]
        yield Sample((make(*pooled.shape), where, 2), {"output_size": larger}, name="larger")

    def errors(make: Make) -> Iterator[ErrorSample]:
        shape = (2, 3, *(2,) * n)
        yield error(RuntimeError, "Tensor, but got", make(3), make.index(2, 3), 2)
        yield error(RuntimeError, "int64", make(*shape), make(*shape), 2)
        yield error(RuntimeError, "same as that", make(*shape), make.index(2, 1, *shape[1:]), 2)
        yield error(RuntimeError, "invalid max index", make(*shape),
                    make.index(2, *shape) + 4**n, 2)
        yield error(ValueError, "must be between", make(*shape), make.index(2, *shape), 2,
                    output_size=(9,) * n)

    def unpool(
        input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
        output_size: Any = None,
    ) -> Any:
        return _unpool(name, n, input, indices, kernel_size, stride, padding, output_size)

    unpool.__doc__ = (
        f"Zeros with the values at the indices that ``max_pool{n}d`` returned.")
    return composite(
        f"{name}(Tensor input, Tensor indices, int[{n}] kernel_size, int[{n}]? stride=None, "
        f"int[{n}] padding=0, Any output_size=None) -> Tensor",
        namespaces=("nn.functional",), method=False, out=False, samples=samples, errors=errors,
    )(unpool)


max_unpool1d, max_unpool2d, max_unpool3d = (_make_unpool(n) for n in (1, 2, 3))
