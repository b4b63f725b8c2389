"""Greatest and smallest values, and where they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes, return_types
from flambeau.layout import wrap_dim
from flambeau.ops.pointwise import maximum, minimum
from flambeau.ops.reduce import amax, amin, argmax, argmin
from flambeau.promotion import check_not_empty, reduced_dims
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def put_back(g: Tensor, indices: Tensor, dim: int, keepdim: bool, shape: Any) -> Any:
    """The gradient of values selected along a dimension, at the places that they came from."""
    if not len(shape):
        return g
    if not keepdim:
        g, indices = g.unsqueeze(dim), indices.unsqueeze(dim)
    return g.new_zeros(tuple(shape)).scatter(dim, indices, g)


def take(self: Tensor, indices: Tensor, dim: int, keepdim: bool) -> Any:
    """The elements at reduced indices along a dimension."""
    if not self.ndim:
        return self.clone()
    found = self.gather(dim, indices if keepdim else indices.unsqueeze(dim))
    return found if keepdim else found.squeeze(dim)


def _along_samples(make: Make) -> Iterator[Sample]:
    yield sample(make.distinct(3, 4), 0, False)
    yield sample(make.distinct(3, 4), -1, True)
    yield sample(make.distinct(4, 3).t(), 1, False)
    yield sample(make.distinct(), 0, False)


def _along_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(IndexError, "Dimension out of range", make(3, 4), 2, False)
    yield error(IndexError, "non-zero size", make(0, 3), 0, False)


def _extreme_along(name: str, argument: Any) -> Any:
    def values_and_indices(self: Tensor, dim: int, keepdim: bool) -> Any:
        dim = wrap_dim(dim, self.ndim)
        check_not_empty(name, self, reduced_dims(dim, self.ndim))
        ordered = self.to(dtypes.uint8) if self.dtype is dtypes.bool else self
        indices = argument(ordered, dim, keepdim)
        return take(self, indices, dim, keepdim), indices

    values_and_indices.__doc__ = f"The values of {name}() along a dimension, and their indices."
    return values_and_indices


_along_facts: Any = {
    "namespaces": ("_internal",), "method": False, "dtypes": "real", "template": "fused",
    "samples": _along_samples, "errors": _along_errors,
    "joint": lambda g, needs, indices, dim, keepdim, self_shape: (
        put_back(g, indices, dim, keepdim, self_shape),),
}
max_along = composite(
    "max_along(Tensor self, int dim, bool keepdim) -> (Tensor values, Tensor indices)",
    **_along_facts,
)(_extreme_along("max", argmax))
min_along = composite(
    "min_along(Tensor self, int dim, bool keepdim) -> (Tensor values, Tensor indices)",
    **_along_facts,
)(_extreme_along("min", argmin))


def _extreme_samples(make: Make) -> Iterator[Sample]:
    yield sample(make.distinct(3, 4))
    yield sample(make.distinct(3, 4), 0)
    yield sample(make.distinct(3, 4), -1, keepdim=True)
    yield sample(make.distinct(3, 4), make(4, low=-1.1, high=1.1))
    yield sample(make.distinct(), 0)


def _extreme_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(IndexError, "Dimension out of range", make(3, 4), 2)
    yield error(RuntimeError, "numel\\(\\) == 0", make(0))
    yield error(TypeError, "must be Tensor", [1.0])


def _choose(
    name: str, self: Tensor, dim: Any, keepdim: bool, whole: Any, along: Any, pairwise: Any,
) -> Any:
    """The three functions that PyTorch gives one name."""
    if isinstance(dim, Tensor):
        return pairwise(self, dim)
    if dim is not None:
        return getattr(return_types, name)(along(self, dim, keepdim))
    if not self.numel():
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify "
            "the reduction dim with the 'dim' argument."
        )
    return whole(self)


@composite(
    "max(Tensor self, Operand? dim=None, bool keepdim=False, *, Tensor? other=None) -> Tensor",
    template="front", dtypes="real", samples=_extreme_samples, errors=_extreme_errors,
)
def max(self: Tensor, dim: Any = None, keepdim: bool = False, other: Tensor | None = None) -> Any:
    """The greatest of all values; ``max(dim)``: along a dimension, as (values, indices);
    ``max(other)``: the greater of two tensors' elements.  NaN wins."""
    dim = other if other is not None else dim
    return _choose("max", self, dim, keepdim, amax, max_along, maximum)


@composite(
    "min(Tensor self, Operand? dim=None, bool keepdim=False, *, Tensor? other=None) -> Tensor",
    template="front", dtypes="real", samples=_extreme_samples, errors=_extreme_errors,
)
def min(self: Tensor, dim: Any = None, keepdim: bool = False, other: Tensor | None = None) -> Any:
    """The smallest of all values; ``min(dim)``: along a dimension, as (values, indices);
    ``min(other)``: the smaller of two tensors' elements.  NaN wins."""
    dim = other if other is not None else dim
    return _choose("min", self, dim, keepdim, amin, min_along, minimum)


def _aminmax_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "no identity", make(0))
    yield error(IndexError, "Dimension out of range", make(3), dim=1)
    yield error(IndexError, "non-zero size", make(2, 0), dim=1)


@composite(
    "aminmax(Tensor self, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)",
    dtypes="real", errors=_aminmax_errors,
    samples=lambda make: iter([sample(make.distinct(3, 4)), sample(make.distinct(3, 4), dim=0),
                               sample(make.distinct(3, 4), dim=-1, keepdim=True)]),
)
def aminmax(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the greatest value; NaN if there is one."""
    if not self.numel() and dim is not None and not self.shape[wrap_dim(dim, self.ndim)]:
        raise IndexError(f"aminmax(): Expected reduction dim {dim} to have non-zero size.")
    if not self.numel() and dim is None:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            "identity."
        )
    return return_types.aminmax((amin(self, dim, keepdim), amax(self, dim, keepdim)))


