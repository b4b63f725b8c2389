"""Convolutions, and their gradients as ops of their own.

The three internal ops are each other's derivatives, so gradients of any order exist:
``convolution`` in its input and weight is bilinear, ``convolution_input_grad`` and
``convolution_weight_grad`` are its adjoints, and a transposed convolution is the first of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import flambeau.fused  # noqa: F401  call paths
from flambeau import dtypes
from flambeau.layout import product
from flambeau.ops.matmul import matmul
from flambeau.ops.pointwise import conj_of
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor
from flambeau.windows import Geometry, fold, padded, per_dimension, windows

Ints = tuple[int, ...]


# ---- checks ------------------------------------------------------------------------------------
def _check(
    input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, transposed: bool,
    output_padding: Ints, groups: int,
) -> None:
    """What PyTorch refuses, in its words.

    Raises:
        RuntimeError: naming the sizes that do not fit.
        NotImplementedError: for booleans.
    """
    for word, values, least in (
        ("non-positive stride", geometry.stride, 1), ("negative padding", geometry.padding, 0),
        ("non-positive dilation", geometry.dilation, 1), ("non-positive groups", (groups,), 1),
        ("negative output_padding", output_padding, 0),
    ):
        if any(v < least for v in values):
            raise RuntimeError(f"{word} is not supported, got {list(values)}")
    if input.dtype is dtypes.bool:
        raise NotImplementedError("convolution: not implemented for 'Bool'")
    for word, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.dtype is not input.dtype:
            raise RuntimeError(
                f"Input type ({input.dtype.name}) and {word} type ({t.dtype.name}) should be the "
                "same. Convert one of them with .to(dtype).")
    shape = list(weight.shape)
    if shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but "
            f"got weight of size {shape} instead")
    if shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size {shape} instead")
    given = f"transposed={int(transposed)}" if transposed else f"groups={groups}"
    channels = shape[0] if transposed else shape[1] * groups
    if input.shape[1] != channels:
        raise RuntimeError(
            f"Given {given}, weight of size {shape}, expected input{list(input.shape)} to have "
            f"{channels} channels, but got {input.shape[1]} channels instead")
    outs = shape[1] * groups if transposed else shape[0]
    if bias is not None and (bias.ndim != 1 or bias.shape[0] != outs):
        raise RuntimeError(
            f"Given {'transposed=1, ' * transposed}weight of size {shape}, expected bias to be "
            f"1-dimensional with {outs} elements, but got bias of size {list(bias.shape)} instead")
    if not transposed:
        _check_extent(input.shape[2:], geometry)


def _check_extent(sizes: Sequence[int], geometry: Geometry) -> None:
    have = [n + 2 * p for n, p in zip(sizes, geometry.padding, strict=True)]
    need = [geometry.extent(d) for d in range(len(have))]
    if any(h < n for h, n in zip(have, need, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, have))}). Kernel "
            f"size: ({' x '.join(map(str, need))}). Kernel size can't be greater than actual "
            "input size")


# ---- the three internal ops --------------------------------------------------------------------
def _samples(make: Make, kind: str) -> Iterator[Sample]:
    """Arguments of the internal ops; ``kind`` says which of the three tensors is the result."""
    for name, x, w, stride, padding, dilation, groups in (
        ("plain", (2, 3, 6, 5), (4, 3, 3, 2), (1, 1), (0, 0), (1, 1), 1),
        ("strided", (2, 3, 7, 6), (4, 3, 3, 3), (2, 2), (1, 0), (1, 1), 1),
        ("dilated", (1, 2, 7, 7), (2, 2, 2, 3), (1, 2), (0, 1), (2, 1), 1),
        ("groups", (2, 4, 5, 5), (6, 2, 3, 3), (1, 1), (1, 1), (1, 1), 2),
        ("depthwise", (2, 3, 5, 5), (6, 1, 3, 3), (1, 2), (1, 1), (1, 1), 3),
        ("pointwise", (2, 3, 4, 4), (5, 3, 1, 1), (1, 1), (0, 0), (1, 1), 1),
        ("1d", (2, 3, 8), (4, 3, 3), (2,), (1,), (1,), 1),
        ("3d", (1, 2, 4, 4, 3), (2, 2, 2, 2, 2), (1, 2, 1), (0, 1, 0), (1, 1, 1), 1),
        ("no_batch", (0, 3, 6, 5), (4, 3, 3, 2), (1, 1), (0, 0), (1, 1), 1),
    ):
        counts = Geometry(w[2:], stride, padding, dilation).counts(x[2:])
        g, rest = (x[0], w[0], *counts), (stride, padding, dilation)
        args: tuple[Any, ...] = {
            "out": (make(*x), make(*w), make(w[0]), *rest, False, (0,) * len(stride), groups),
            "input": (make(*g), make(*w), x, *rest, groups),
            "weight": (make(*g), make(*x), w, *rest, groups),
        }[kind]
        yield Sample(args, name=name)


def _convolution_samples(make: Make) -> Iterator[Sample]:
    yield from _samples(make, "out")
    yield Sample(
        (make(2, 4, 5, 4), make(4, 3, 3, 2), make(6), (2, 1), (1, 0), (1, 2), True, (1, 0), 2),
        name="transposed")


def _convolution_errors(make: Make) -> Iterator[ErrorSample]:
    x, w, rest = make(2, 3, 8, 8), make(6, 3, 3, 3), ((0, 0), (1, 1), False, (0, 0), 1)
    yield error(RuntimeError, "non-positive stride", x, w, None, (0, 1), *rest)
    yield error(RuntimeError, "to have 2 channels", x, make(6, 2, 3, 3), None, (1, 1), *rest)
    yield error(RuntimeError, "Kernel size: \\(9 x 3\\)", x, make(6, 3, 9, 3), None, (1, 1), *rest)
    yield error(RuntimeError, "with 6 elements", x, w, make(5), (1, 1), *rest)


def _convolution_back(
    g: Tensor, needs: tuple[bool, ...], input: Tensor, weight: Tensor, stride: Ints,
    padding: Ints, dilation: Ints, transposed: bool, groups: int,
) -> tuple[Any, ...]:
    rest = (stride, padding, dilation)
    dx = dw = None
    if transposed:
        if needs[0]:
            dx = _plain(g, conj_of(weight), *rest, groups, input.shape)
        if needs[1]:
            dw = convolution_weight_grad(conj_of(input), g, weight.shape, *rest, groups)
    else:
        if needs[0]:
            dx = convolution_input_grad(g, conj_of(weight), input.shape, *rest, groups)
        if needs[1]:
            dw = convolution_weight_grad(g, conj_of(input), weight.shape, *rest, groups)
    return dx, dw, channel_sum(g) if needs[2] else None


@composite(
    "convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, "
    "int[] dilation, bool transposed, int[] output_padding, int groups) -> Tensor",
    method=False, out=False, joint=_convolution_back, template="fused",
    samples=_convolution_samples, errors=_convolution_errors, dtypes="floating_complex",
)
def convolution(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Ints, padding: Ints,
    dilation: Ints, transposed: bool, output_padding: Ints, groups: int,
) -> Tensor:
    """The cross-correlation of (N, C, *spatial) with (O, C / groups, *kernel), plus a bias.

    Transposed, the weight is (C, O / groups, *kernel).
    """
    n = input.ndim - 2
    geometry = Geometry(
        tuple(weight.shape[2:]), per_dimension(stride, n, "stride"),
        per_dimension(padding, n, "padding"), per_dimension(dilation, n, "dilation"))
    extra = per_dimension(output_padding, n, "output_padding")
    if weight.ndim != input.ndim:
        raise RuntimeError(
            f"expected a weight of {input.ndim} dimensions for an input of shape "
            f"{list(input.shape)}, but got weight of size {list(weight.shape)}")
    _check(input, weight, bias, geometry, transposed, extra, groups)
    if transposed:
        sizes = _transposed_sizes(input.shape[2:], geometry, extra)
        shape = (input.shape[0], weight.shape[1] * groups, *sizes)
        out = convolution_input_grad(input, weight, shape, *geometry[1:4], groups)
    else:
        counts = geometry.counts(input.shape[2:])
        columns = _columns(input, geometry, counts, groups)
        rows = weight.reshape(groups, weight.shape[0] // groups, columns.shape[2])
        out = matmul(rows, columns).reshape((input.shape[0], weight.shape[0], *counts))
    if bias is None:
        return out  # type: ignore[no-any-return]
    return out + bias.reshape((-1, *(1,) * n))  # type: ignore[no-any-return]


def _transposed_sizes(sizes: Sequence[int], geometry: Geometry, extra: Ints) -> Ints:
    """The sizes of which a convolution would have made these.

    Raises:
        RuntimeError: if that is ambiguous, or nothing is left.
    """
    if any(e >= max(s, d) for e, s, d in zip(
            extra, geometry.stride, geometry.dilation, strict=True)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got "
            f"output_padding={list(extra)}, stride={list(geometry.stride)}, "
            f"dilation={list(geometry.dilation)}")
    outs = tuple(
        (n - 1) * geometry.stride[d] - 2 * geometry.padding[d] + geometry.extent(d) + extra[d]
        for d, n in enumerate(sizes))
    if any(n < 1 for n in outs):
        raise RuntimeError(
            f"Given input size per channel: ({' x '.join(map(str, sizes))}). Calculated output "
            f"size per channel: ({' x '.join(map(str, outs))}). Output size is too small")
    return outs


def _columns(x: Tensor, geometry: Geometry, counts: Ints, groups: int) -> Tensor:
    """Every window as a column: (N, groups, C / groups * prod(kernel), prod(counts))."""
    count, channels = x.shape[:2]
    view = windows(padded(x, geometry.padding, geometry.padding), geometry, counts)
    rows = channels // groups * product(geometry.kernel)
    result: Tensor = view.reshape((count, groups, rows, product(counts)))
    return result


def _plain(
    input: Tensor, weight: Tensor, stride: Ints, padding: Ints, dilation: Ints, groups: int,
    shape: Sequence[int],
) -> Tensor:
    """A convolution without bias, of a shape: output padding can hold another window."""
    result: Tensor = convolution(
        input, weight, None, stride, padding, dilation, False, (0,) * len(stride), groups)
    for d, size in enumerate(shape):
        result = result.narrow(d, 0, size) if result.shape[d] != size else result
    return result


def _input_grad_back(
    g: Tensor, needs: tuple[bool, ...], grad: Tensor, weight: Tensor, stride: Ints,
    padding: Ints, dilation: Ints, groups: int,
) -> tuple[Any, ...]:
    rest = (stride, padding, dilation)
    return (
        _plain(g, conj_of(weight), *rest, groups, grad.shape) if needs[0] else None,
        convolution_weight_grad(conj_of(grad), g, weight.shape, *rest, groups)
        if needs[1] else None,
    )


@composite(
    "convolution_input_grad(Tensor grad, Tensor weight, int[] input_size, int[] stride, "
    "int[] padding, int[] dilation, int groups) -> Tensor",
    method=False, out=False, namespaces=("_internal",), joint=_input_grad_back, template="fused",
    samples=lambda make: _samples(make, "input"), dtypes="floating_complex",
)
def convolution_input_grad(
    grad: Tensor, weight: Tensor, input_size: Ints, stride: Ints, padding: Ints,
    dilation: Ints, groups: int,
) -> Tensor:
    """The gradient of ``convolution`` for an input of a size, from that of its output."""
    geometry = Geometry(tuple(weight.shape[2:]), stride, padding, dilation)
    count, outs = grad.shape[:2]
    counts = tuple(grad.shape[2:])
    rows = weight.reshape(groups, outs // groups, -1).transpose(1, 2)
    columns = matmul(rows, grad.reshape((count, groups, outs // groups, product(counts))))
    shape = (count, input_size[1], *geometry.kernel, *counts)
    return fold(columns.reshape(shape), geometry, input_size[2:])


def _weight_grad_back(
    g: Tensor, needs: tuple[bool, ...], grad: Tensor, input: Tensor, stride: Ints,
    padding: Ints, dilation: Ints, groups: int,
) -> tuple[Any, ...]:
    rest = (stride, padding, dilation)
    return (
        _plain(conj_of(input), g, *rest, groups, grad.shape) if needs[0] else None,
        convolution_input_grad(conj_of(grad), g, input.shape, *rest, groups)
        if needs[1] else None,
    )


@composite(
    "convolution_weight_grad(Tensor grad, Tensor input, int[] weight_size, int[] stride, "
    "int[] padding, int[] dilation, int groups) -> Tensor",
    method=False, out=False, namespaces=("_internal",), joint=_weight_grad_back, template="fused",
    samples=lambda make: _samples(make, "weight"), dtypes="floating_complex",
)
def convolution_weight_grad(
    grad: Tensor, input: Tensor, weight_size: Ints, stride: Ints, padding: Ints,
    dilation: Ints, groups: int,
) -> Tensor:
    """The gradient of ``convolution`` for a weight of a size, from that of its output."""
    geometry = Geometry(tuple(weight_size[2:]), stride, padding, dilation)
    counts = tuple(grad.shape[2:])
    count, outs = grad.shape[:2]
    columns = _columns(input, geometry, counts, groups)
    rows, length = columns.shape[2:]
    flat = columns.permute(1, 2, 0, 3).reshape((groups, rows, count * length))
    g = grad.reshape((count, groups, outs // groups, length))
    g = g.permute(1, 2, 0, 3).reshape((groups, outs // groups, count * length))
    result: Tensor = matmul(g, flat.transpose(1, 2)).reshape(tuple(weight_size))
    return result


@composite(
    "channel_sum(Tensor self) -> Tensor", namespaces=("_internal",), method=False, out=False,
    template="fused", samples=lambda make: iter([
        Sample((make(2, 3, 4, 5),), name="images"), Sample((make(0, 3, 4),), name="empty"),
        Sample((make(4, 3, 2).transpose(0, 2),), name="transposed")]),
)
def channel_sum(self: Tensor) -> Tensor:
    """The sum over all dimensions but the second: the gradient of a bias per channel."""
    result: Tensor = self.sum((0, *range(2, self.ndim)))
    return result


# ---- public convolutions -----------------------------------------------------------------------
@lru_cache(maxsize=1024)
def _options(
    n: int, stride: Any, padding: Any, dilation: Any, kernel: Ints
) -> tuple[Ints, Ints, Ints, Ints | None]:
    """Stride, padding and dilation per dimension, and what to add at the end of the input.

    The last is None unless padding "same" is one element longer at the end than at the start.

    Raises:
        RuntimeError: for an unknown word, or "same" with a stride.
    """
    s, d = per_dimension(stride, n, "stride"), per_dimension(dilation, n, "dilation")
    if not isinstance(padding, str):
        return s, per_dimension(padding, n, "padding"), d, None
    if padding == "valid":
        return s, (0,) * n, d, None
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    if any(v != 1 for v in s):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [d[i] * (kernel[i] - 1) for i in range(n)]
    more = tuple(t % 2 for t in totals)
    return s, tuple(t // 2 for t in totals), d, more if any(more) else None


def _key(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _conv(
    name: str, n: int, input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any,
    dilation: Any, groups: int,
) -> Any:
    if input.ndim != n + 2:
        if input.ndim == n + 1:
            whole = input.unsqueeze(0)
            return _conv(name, n, whole, weight, bias, stride, padding, dilation, groups).squeeze(0)
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input "
            f"of size: {list(input.shape)}")
    if weight.ndim != n + 2:
        raise RuntimeError(
            f"{name}: expected a weight of {n + 2} dimensions, but got weight of size "
            f"{list(weight.shape)} for input of size {list(input.shape)}")
    kernel = weight.shape[2:] if padding.__class__ is str else ()
    s, p, d, more = _options(n, _key(stride), _key(padding), _key(dilation), kernel)
    if more is not None:
        input = _longer(input, more)
    return convolution(input, weight, bias, s, p, d, False, (0,) * n, groups)


def _longer(x: Tensor, more: Ints) -> Tensor:
    """Zeros added at the end of the spatial dimensions, with gradient."""
    from flambeau.ops.join import cat

    for d, n in enumerate(more):
        if n:
            shape = list(x.shape)
            shape[2 + d] = n
            x = cat([x, x.new_zeros(tuple(shape))], 2 + d)
    return x


def _conv_transpose(
    name: str, n: int, input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any,
    output_padding: Any, groups: int, dilation: Any,
) -> Any:
    if input.ndim != n + 2:
        if input.ndim == n + 1:
            return _conv_transpose(
                name, n, input.unsqueeze(0), weight, bias, stride, padding, output_padding,
                groups, dilation).squeeze(0)
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input "
            f"of size: {list(input.shape)}")
    s, p, d, _ = _options(n, _key(stride), _key(padding), _key(dilation), ())
    extra = per_dimension(output_padding, n, "output_padding")
    return convolution(input, weight, bias, s, p, d, True, extra, groups)


def _public_samples(n: int, transposed: bool) -> Any:
    sizes, kernel = (7, 6, 5)[:n], (3, 2, 2)[:n]

    def samples(make: Make) -> Iterator[Sample]:
        x, w, b = make(2, 4, *sizes), make(4, 4, *kernel), make(4)
        yield Sample((x, w, b), name="bias")
        yield Sample((x, w), {"stride": 2, "padding": 1}, name="strided")
        yield Sample((x, make(4, 2, *kernel)), {"groups": 2, "dilation": 2}, name="groups")
        yield Sample((make(4, *sizes), w, b), name="unbatched")
        if transposed:
            yield Sample((x, w, b), {"stride": 2, "output_padding": 1}, name="output_padding")
            yield Sample((x, w), {"dilation": 2, "output_padding": 1}, name="another_window")
        else:
            yield Sample((x, w, b), {"padding": "same"}, name="same")
            yield Sample((x, w, b), {"padding": "valid"}, name="valid")

    return samples


def _public_errors(n: int, transposed: bool) -> Any:
    def errors(make: Make) -> Iterator[ErrorSample]:
        x, w = make(2, 4, *(8,) * n), make(4, 4, *(3,) * n)
        yield error(RuntimeError, "unbatched", make(4), w)
        yield error(RuntimeError, "list of", x, w, stride=(1,) * (n + 1))
        yield error(RuntimeError, "should be the same", x, w.double(), None)
        yield error(TypeError, "must be Tensor", x, 3)
        if transposed:
            yield error(RuntimeError, "smaller than either", x, w, output_padding=1)
        else:
            yield error(RuntimeError, "Invalid padding string", x, w, padding="full")
            yield error(RuntimeError, "strided", x, w, padding="same", stride=2)

    return errors


def _facts(n: int, transposed: bool = False) -> dict[str, Any]:
    return {
        "namespaces": ("", "nn.functional"), "method": False, "out": False, "template": "front",
        "samples": _public_samples(n, transposed), "errors": _public_errors(n, transposed),
        "dtypes": "floating_complex",
    }


_CONV = ("(Tensor input, Tensor weight, Tensor? bias=None, int[{n}] stride=1, Any padding=0, "
         "int[{n}] dilation=1, int groups=1) -> Tensor")
_TRANSPOSE = ("(Tensor input, Tensor weight, Tensor? bias=None, int[{n}] stride=1, "
              "int[{n}] padding=0, int[{n}] output_padding=0, int groups=1, int[{n}] dilation=1) "
              "-> Tensor")


@composite("conv1d" + _CONV.format(n=1), **_facts(1))
def conv1d(
    input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:
    """Convolution of signals (N, C, L) or (C, L); padding: numbers, "same" or "valid"."""
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


@composite("conv2d" + _CONV.format(n=2), **_facts(2))
def conv2d(
    input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:
    """Convolution of images (N, C, H, W) or (C, H, W); padding: numbers, "same" or "valid"."""
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@composite("conv3d" + _CONV.format(n=3), **_facts(3))
def conv3d(
    input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:
    """Convolution of volumes (N, C, D, H, W) or (C, D, H, W)."""
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


@composite("conv_transpose1d" + _TRANSPOSE.format(n=1), **_facts(1, True))
def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:
    """The gradient of ``conv1d`` for its input, as an op: also called deconvolution."""
    return _conv_transpose("conv_transpose1d", 1, input, weight, bias, stride, padding,
                           output_padding, groups, dilation)


@composite("conv_transpose2d" + _TRANSPOSE.format(n=2), **_facts(2, True))
def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:
    """The gradient of ``conv2d`` for its input, as an op: also called deconvolution."""
    return _conv_transpose("conv_transpose2d", 2, input, weight, bias, stride, padding,
                           output_padding, groups, dilation)


@composite("conv_transpose3d" + _TRANSPOSE.format(n=3), **_facts(3, True))
def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:
    """The gradient of ``conv3d`` for its input, as an op: also called deconvolution."""
    return _conv_transpose("conv_transpose3d", 3, input, weight, bias, stride, padding,
                           output_padding, groups, dilation)
