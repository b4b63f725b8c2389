"""Padding at the ends of dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flambeau.ops.create import full
from flambeau.ops.join import cat
from flambeau.ops.rearrange import flip
from flambeau.ops.shape import expand
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor

Ends = tuple[int, int]


def _ends(name: str, self: Tensor, pad: Sequence[int]) -> list[Ends]:
    """What is added before and after each dimension, from the first one on.

    Raises:
        RuntimeError: for an odd number of values, or more than two per dimension.
    """
    if len(pad) % 2:
        raise RuntimeError(
            f"{name}(): length of pad must be even but instead it equals {len(pad)}")
    if len(pad) > 2 * self.ndim:
        raise RuntimeError(
            f"{name}(): length of pad should be no more than twice the number of dimensions of "
            f"the input. Pad length is {len(pad)} while the input has {self.ndim} dimensions.")
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (self.ndim - len(pairs)) + pairs[::-1]


# ---- constant ----------------------------------------------------------------------------------
def _constant_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(2, 3), (1, 2))
    yield sample(make(2, 3), (1, 0, 0, 2), 1.0)
    yield sample(make(4, 5), (-1, 2, 0, -2), 2.0)
    yield sample(make(3, 2).t(), (1, 1))
    yield sample(make(2, 3), ())
    yield sample(make(0, 3), (0, 0, 1, 1), 1)


def _constant_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "must be even", make(3), (1,))
    yield error(RuntimeError, "no more than twice", make(3), (1, 1, 1, 1))
    yield error(RuntimeError, "negative output size|resulted in a negative", make(3), (-2, -2))


@composite(
    "constant_pad_nd(Tensor self, int[] pad, Scalar value=0) -> Tensor", dtypes="all",
    method=False, out=False, samples=_constant_samples, errors=_constant_errors,
    derivatives={"self": lambda g, pad: constant_pad_nd(g, [-n for n in pad])},
)
def constant_pad_nd(self: Tensor, pad: Sequence[int], value: Any = 0) -> Tensor:
    """A copy with a number written before and after the last dimensions; negative pads cut.

    Args:
        pad: two numbers per dimension, those of the last dimension first.
    """
    ends = _ends("constant_pad_nd", self, pad)
    shape = [n + a + b for n, (a, b) in zip(self.shape, ends, strict=True)]
    if any(n < 0 for n in shape):
        raise RuntimeError(
            f"The input of shape {list(self.shape)}, plus padding {list(pad)}, resulted in a "
            f"negative output size: {shape}")
    result = full(shape, value, dtype=self.dtype, device=self.device)
    target, source = result, self
    for d, (a, b) in enumerate(ends):
        if a or b:
            kept = self.shape[d] + min(a, 0) + min(b, 0)
            target = target.narrow(d, max(a, 0), kept)
            source = source.narrow(d, max(-a, 0), kept)
    target.copy_(source)
    return result


# ---- by what is there --------------------------------------------------------------------------
def _reflected(x: Tensor, d: int, ends: Ends) -> list[Tensor]:
    """The neighbours of the first and last element, turned round."""
    n = x.shape[d]
    if max(ends) >= n:
        raise RuntimeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, "
            f"but got: padding ({ends[0]}, {ends[1]}) at dimension {d} of input "
            f"{list(x.shape)}")
    before, after = (max(e, 0) for e in ends)
    return [
        flip(x.narrow(d, 1, before), (d,)) if before else x.narrow(d, 0, 0), x,
        flip(x.narrow(d, n - 1 - after, after), (d,)) if after else x.narrow(d, 0, 0),
    ]


def _replicated(x: Tensor, d: int, ends: Ends) -> list[Tensor]:
    """The first and the last element, repeated."""
    n = x.shape[d]
    if not n:
        raise RuntimeError(
            f"replication padding: expected dimension {d} of input {list(x.shape)} to be non-zero")
    sizes = [list(x.shape), list(x.shape)]
    sizes[0][d], sizes[1][d] = (max(e, 0) for e in ends)
    return [expand(x.narrow(d, 0, 1), sizes[0]), x, expand(x.narrow(d, n - 1, 1), sizes[1])]


def _wrapped(x: Tensor, d: int, ends: Ends) -> list[Tensor]:
    """The elements from the other end."""
    n = x.shape[d]
    if max(ends) > n:
        raise RuntimeError(
            "Padding value causes wrapping around more than once: padding "
            f"({ends[0]}, {ends[1]}) at dimension {d} of input {list(x.shape)}")
    before, after = (max(e, 0) for e in ends)
    return [x.narrow(d, n - before, before), x, x.narrow(d, 0, after)]


def _cut(x: Tensor, d: int, ends: Ends) -> Tensor:
    """What negative pads leave of a dimension."""
    if min(ends) >= 0:
        return x
    a, b = (min(e, 0) for e in ends)
    left: Tensor = x.narrow(d, -a, x.shape[d] + a + b)
    return left


_MODES = {"reflect": _reflected, "replicate": _replicated, "circular": _wrapped}


def _check_ndim(mode: str, input: Tensor, pad: Sequence[int]) -> None:
    """Refuse inputs that are no batch, or single example, of what the pad is made for.

    Raises:
        NotImplementedError: naming the dimensions that go with the pad's length.
        RuntimeError: for an input with empty dimensions other than the first.
    """
    spatial = len(pad) // 2
    if len(pad) % 2 or spatial not in (1, 2, 3) or input.ndim not in (spatial + 1, spatial + 2):
        raise NotImplementedError(
            "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: "
            f'mode "{mode}" pads the last 1, 2 or 3 dimensions of inputs with one or two more, '
            f"got {input.ndim}D input and pad {list(pad)}")
    if not all(input.shape[1 if input.ndim == spatial + 2 else 0 :]):
        raise RuntimeError(
            f"pad(): Expected an input with non-zero sizes besides an optional batch dimension, "
            f"but got {list(input.shape)}")


def _pad_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(2, 3), (1, 0, 0, 2)), {"value": 1.0}, name="constant")
    yield Sample((make(4, 5), (-1, 2, 0, -2)), name="constant_negative")
    for mode in _MODES:
        yield Sample((make(2, 3, 5), (1, 2)), {"mode": mode}, name=f"{mode}_1d")
        yield Sample((make(2, 3, 4, 5), (2, 1, 0, 3)), {"mode": mode}, name=f"{mode}_2d")
        yield Sample((make(3, 4, 5), (1, 0, -1, 2)), {"mode": mode}, name=f"{mode}_negative")
        yield Sample((make(2, 3, 3, 4, 3), (1, 1, 2, 0, 1, 2)), {"mode": mode}, name=f"{mode}_3d")


def _pad_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(NotImplementedError, "Only 2D, 3D, 4D, 5D", make(3), (1, 1), mode="reflect")
    yield error(RuntimeError, "less than the corresponding", make(2, 3), (3, 0), mode="reflect")
    yield error(RuntimeError, "wrapping around", make(2, 3), (4, 0), mode="circular")
    yield error(NotImplementedError, "Unrecognised", make(2, 3), (1, 1), mode="mirror")
    yield error(ValueError, "doesn't take in value", make(2, 3), (1, 1), mode="reflect", value=1)


@composite(
    "pad(Tensor input, int[] pad, str mode='constant', float? value=None) -> Tensor",
    dtypes="all", namespaces=("nn.functional",), method=False, out=False,
    samples=_pad_samples, errors=_pad_errors,
)
def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """A copy with the last dimensions padded; negative pads cut.

    Args:
        pad: two numbers per dimension, those of the last dimension first.
        mode: "constant" (with ``value``, 0 by default), "reflect" (neighbours of the ends),
            "replicate" (the ends) or "circular" (the other end).
    """
    if mode == "constant":
        filled: Tensor = constant_pad_nd(input, tuple(pad), 0 if value is None else value)
        return filled
    if mode not in _MODES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    _check_ndim(mode, input, pad)
    result = input
    for d, ends in enumerate(_ends("pad", input, pad)):
        if mode == "circular":  # wraps what negative pads leave
            result = _cut(result, d, ends)
        if max(ends) > 0:
            result = cat(_MODES[mode](result, d, ends), d)
        if mode != "circular":
            result = _cut(result, d, ends)
    return result if result is not input else input.clone()
