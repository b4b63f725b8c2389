"""Parameters of distributions: numbers made tensors, chances and logits, values made once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

import flambeau as fb
from flambeau.tensor import Tensor

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "empty_like_parameter",
    "euler_constant",
    "lazy_property",
    "logits_to_probs",
    "one_hot_like",
    "probs_to_logits",
    "standard_normal",
    "standard_uniform",
    "sum_rightmost",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

euler_constant = 0.57721566490153286060
"""Euler's constant (DLMF 5.2.3)."""


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Tensors of one shape from tensors and numbers.

    A number becomes a tensor of the first tensor's dtype and device; where there are numbers
    only, of the default dtype.

    Raises:
        ValueError: a value is neither a tensor nor a number.
    """
    for value in values:
        if not isinstance(value, (Tensor, Number)):
            raise ValueError(
                "the parameters must be tensors or numbers to be broadcast, "
                f"but one is of type {type(value).__name__}")
    first = next((value for value in values if isinstance(value, Tensor)), None)
    named: dict[str, Any] = {"dtype": fb.get_default_dtype()}
    if first is not None:
        named = {"dtype": first.dtype, "device": first.device}
    tensors = [v if isinstance(v, Tensor) else fb.tensor(v, **named) for v in values]
    return tuple(fb.broadcast_tensors(*tensors))


def empty_like_parameter(shape: Sequence[int], parameter: Tensor) -> Tensor:
    """Uninitialised memory of a shape, in a parameter's dtype, on its device."""
    return fb.empty(tuple(shape), dtype=parameter.dtype, device=parameter.device)


def standard_normal(shape: Sequence[int], parameter: Tensor) -> Tensor:
    """Standard normal numbers in a parameter's dtype, on its device."""
    return fb.randn(tuple(shape), dtype=parameter.dtype, device=parameter.device)


def standard_uniform(shape: Sequence[int], parameter: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) in a parameter's dtype, on its device."""
    return fb.rand(tuple(shape), dtype=parameter.dtype, device=parameter.device)


def clamp_probs(probs: Tensor) -> Tensor:
    """Chances kept away from 0 and 1 by the precision of their dtype."""
    least = fb.finfo(probs.dtype).eps
    return probs.clamp(min=least, max=1 - least)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Chances of logits: each by itself if ``is_binary``, else those of the last dimension."""
    return fb.sigmoid(logits) if is_binary else fb.softmax(logits, dim=-1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Logits of chances, which are clamped first: log-odds if ``is_binary``, else logarithms."""
    clamped = clamp_probs(probs)
    return fb.log(clamped) - fb.log1p(-clamped) if is_binary else fb.log(clamped)


def sum_rightmost(value: Tensor, dims: int) -> Tensor:
    """The sum over so many last dimensions."""
    if dims == 0:
        return value
    return value.reshape((*value.shape[: value.ndim - dims], -1)).sum(-1)


def one_hot_like(indices: Tensor, chances: Tensor) -> Tensor:
    """One-hot vectors as long as those of chances, in their dtype; nobody looks at the indices."""
    classes = fb.arange(chances.shape[-1], device=indices.device)
    return (indices.unsqueeze(-1) == classes).to(chances.dtype)


class lazy_property(property):
    """A property that is worked out when it is first read, and then kept on the instance."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        super().__init__(wrapped)
        self.wrapped = wrapped

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """The kept value; the property itself where it is read from the class."""
        if instance is None:
            return self
        kept = instance.__dict__
        if self._name not in kept:
            with fb.enable_grad():
                kept[self._name] = self.wrapped(instance)
        return kept[self._name]

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = value


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements on and below a diagonal, row by row: ``(*, n, n)`` to ``(*, k)``.

    Raises:
        ValueError: there is no such diagonal.
    """
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}]")
    row, column = fb.tril_indices(n, n, diag, device=mat.device)
    return mat[..., row, column]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """The lower-triangular matrix of :func:`tril_matrix_to_vec`: ``(*, k)`` to ``(*, n, n)``.

    Raises:
        ValueError: no matrix has so many elements there.
    """
    linear = 1 + 2 * diag
    n = ((linear**2 + 8 * vec.shape[-1] + 4 * abs(diag) * (diag + 1)) ** 0.5 - linear) / 2
    size = round(n)
    if abs(n - size) > fb.finfo(fb.float32).eps:
        raise ValueError(
            f"The size of last dimension is {vec.shape[-1]} which cannot be expressed as the "
            "lower triangular part of a square D x D matrix.")
    row, column = fb.tril_indices(size, size, diag, device=vec.device)
    flat = vec.new_zeros((*vec.shape[:-1], size * size))
    places = (row * size + column).expand(vec.shape)
    return flat.scatter(-1, places, vec).reshape((*vec.shape[:-1], size, size))
