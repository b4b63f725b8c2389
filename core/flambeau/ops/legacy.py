"""Methods that old programs call, and questions to which the answer is always the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

from flambeau.ops.facts import data_ptr
from flambeau.ops.memory import copy_, to
from flambeau.ops.shape import as_strided, reshape
from flambeau.tensor import Tensor


# ---- Python functions, element by element ------------------------------------------------------
def _written(name: str, self: Tensor, others: tuple[Tensor, ...], function: Any) -> Tensor:
    """Overwrite a tensor by a Python function of its elements and those of others."""
    from flambeau.construct import tensor

    if self.device.type != "cpu":
        raise TypeError(f"{name} is only implemented on CPU tensors")
    if self.requires_grad:
        raise RuntimeError(f"Can't call {name}() on Variable that requires grad.")
    flat = [t.expand(self.shape).reshape(-1).tolist() for t in (self, *others)]
    values = [function(*row) for row in zip(*flat, strict=True)]
    return copy_(self, tensor(values, dtype=self.dtype).reshape(self.shape))


def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replace each element by a Python function of it; slow, and only on the CPU."""
    return _written("apply_", self, (), callable)


def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replace each element by a Python function of it and of another tensor's."""
    return _written("map_", self, (tensor,), callable)


def map2_(
    self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]
) -> Tensor:
    """Replace each element by a Python function of it and of those of two tensors."""
    return _written("map2_", self, (x, y), callable)


# ---- shapes ------------------------------------------------------------------------------------
def resize(self: Tensor, *sizes: Any) -> Tensor:
    """The same elements in another shape; deprecated, use ``reshape``.

    Raises:
        RuntimeError: for another number of elements.
    """
    warnings.warn("non-inplace resize is deprecated", UserWarning, stacklevel=2)
    shape = tuple(sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes)
    count = 1
    for n in shape:
        count *= n
    if count != self.numel():
        raise RuntimeError(
            f"requested resize to {'x'.join(map(str, shape))} ({count} elements in total), but the "
            f"given tensor has a size of {'x'.join(map(str, self.shape))} ({self.numel()} "
            "elements). resize keeps the number of elements")
    result: Tensor = reshape(self, shape)
    return result


def resize_as(self: Tensor, tensor: Tensor) -> Tensor:
    """The same elements in the shape of another tensor; deprecated, use ``reshape``."""
    warnings.warn("non-inplace resize_as is deprecated", UserWarning, stacklevel=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return resize(self, *tensor.shape)


def slice_inverse(
    self: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> Tensor:
    """The tensor that a slice was taken from: the memory of ``self`` with the layout of ``src``."""
    result: Tensor = as_strided(self, src.shape, src.stride(), src.storage_offset())
    return result


# ---- modules -----------------------------------------------------------------------------------
def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """What ``load_state_dict`` puts in the place of this tensor of a module.

    Args:
        assign: the other tensor itself, in place of this one overwritten by it.
    """
    if assign:
        return other.detach()
    return copy_(self, other).detach()


# ---- places ------------------------------------------------------------------------------------
def _moves(kind: str) -> Any:
    def move(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
        where = kind if device is None else (
            f"{kind}:{device}" if isinstance(device, int) else device)
        return to(self, where)

    move.__name__ = move.__qualname__ = kind
    move.__doc__ = f"The tensor on a device of the type {kind}, if a backend of that name is there."
    return move


def is_distributed(input: Tensor) -> bool:
    """Whether the tensor is one part of a larger one: never."""
    return False


_METHODS: Final = (apply_, is_distributed, map2_, map_, module_load, resize, resize_as,
                   slice_inverse)
for _method in _METHODS:
    setattr(Tensor, _method.__name__, _method)
for _kind in ("ipu", "mtia", "xpu"):
    setattr(Tensor, _kind, _moves(_kind))
for _kind in ("ipu", "maia", "mtia", "vulkan", "xla"):
    setattr(Tensor, f"is_{_kind}", property(
        lambda self, kind=_kind: self.device.type == kind,  # type: ignore[misc]
        doc=f"Whether the tensor is on a device of the type {_kind}."))
for _name, _value in {
    "const_data_ptr": data_ptr,
    "grad_dtype": property(
        lambda self: self.dtype, doc="The dtype of the gradient: that of the tensor."),
    "name": property(lambda self: None, doc="The name of a variable: None, they have none."),
}.items():
    setattr(Tensor, _name, _value)
