"""Tensors that belong to modules: parameters, buffers, and those whose shape is not known yet."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

import flambeau as fb
from flambeau.device import device as Device
from flambeau.dtypes import dtype as DType
from flambeau.dtypes import get_default_dtype
from flambeau.fields import TensorFields
from flambeau.kind import kind_of
from flambeau.ops.memory import parse_to
from flambeau.overrides import disabled
from flambeau.tensor import Tensor, alias_of

T = TypeVar("T", bound=Tensor)


class Parameter(Tensor):
    """A tensor that modules list among their parameters when it is assigned to an attribute.

    Args:
        data: its values; the memory is shared, not copied.
        requires_grad: whether gradients are computed for it.
    """

    __slots__ = ()
    __torch_function__: Any = classmethod(disabled)  # results of operations are plain tensors

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        """Wrap a tensor."""
        return _subclass(cls, data, requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        return _deepcopy(self, memo)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return "Parameter containing:\n" + Tensor.__repr__(self)


class _BufferMeta(type):
    """Buffers are plain tensors with a mark: ``isinstance`` looks at the mark."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Tensor) and bool(instance.__dict__.get("_is_buffer"))


class Buffer(Tensor, metaclass=_BufferMeta):
    """Marks a tensor so that modules list it among their buffers when it is assigned.

    Args:
        data: its values; the memory is shared, not copied.
        persistent: whether ``state_dict()`` contains it.
    """

    __slots__ = ()
    __torch_function__: Any = classmethod(disabled)

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        """Mark a tensor."""
        if data is None:
            data = fb.empty(0)
        made = data.detach().requires_grad_(data.requires_grad)
        made._is_buffer, made.persistent = True, persistent  # type: ignore[attr-defined]
        return made


def _subclass(cls: type[T], data: Tensor | None, requires_grad: bool) -> T:
    if data is None:
        data = fb.empty(0)
    data.storage_()  # so that both find the same memory and the same version counter
    made = alias_of(data, cls)
    if requires_grad:
        made.requires_grad_()
    return made  # type: ignore[return-value]


def _deepcopy(self: T, memo: dict[int, Any]) -> T:
    """A copy of the values without the gradient; the same object twice gives one copy."""
    done: T | None = memo.get(id(self))
    if done is None:
        done = _subclass(type(self), self.detach().clone(), self.requires_grad)
        memo[id(self)] = done
        if self.__dict__:
            done.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return done


class UninitializedTensorMixin(Tensor):
    """A tensor with a dtype and a device but no shape yet; lazy modules give it one."""

    __slots__ = ()
    __torch_function__: Any = classmethod(disabled)
    cls_to_become: type[Tensor]

    def materialize(
        self, shape: Sequence[int], device: Any = None, dtype: DType | None = None
    ) -> None:
        """Allocate the memory (uninitialised) and become an ordinary parameter or buffer."""
        data = fb.empty(
            tuple(shape),
            device=self.device if device is None else device,
            dtype=self.dtype if dtype is None else dtype,
        )
        self._kind, self._storage, self._layout = data._kind, data.storage_(), data.layout_()
        self._native = data._native
        self.__class__ = self.cls_to_become  # type: ignore[assignment]

    def _unusable(self, what: str) -> Any:
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {what}. This error happens when you "
            "are using a `LazyModule` or explicitly manipulating `flambeau.nn.parameter."
            f"{type(self).__name__}` objects. When using LazyModules call `forward` with a dummy "
            "batch to initialize the parameters before calling flambeau functions."
        )

    def storage_(self) -> Any:
        """Refused: there is no memory."""
        return self._unusable("an operation that needs its memory")

    def native(self) -> Any:
        """Refused: there is no memory."""
        return self._unusable("an operation")

    def layout_(self) -> Any:
        """Refused: there is no shape."""
        return self._unusable("an operation that needs its shape")

    @property
    def ndim(self) -> int:
        """Refused: there is no shape."""
        return self._unusable("an operation that needs its shape")  # type: ignore[no-any-return]

    @property
    def shape(self) -> Any:
        """Refused: there is no shape."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """The same, to be allocated on another device or with another dtype."""
        where, what, _, _ = parse_to(args, kwargs)
        return _uninitialized(
            type(self), self.requires_grad, where or self.device, what or self.dtype
        )

    def detach(self) -> Any:
        """Itself without a gradient: there is nothing to share."""
        return _uninitialized(type(self), False, self.device, self.dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        done = memo.get(id(self))
        if done is None:
            done = _uninitialized(type(self), self.requires_grad, self.device, self.dtype)
            memo[id(self)] = done
        return done

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _uninitialized, (type(self), self.requires_grad, self.device, self.dtype)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"<{type(self).__name__}>"


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc]
    """A parameter whose shape the first forward call finds out."""

    __slots__ = ()
    cls_to_become = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: Any = None, dtype: DType | None = None
    ) -> Any:
        """A parameter to be allocated later."""
        return _uninitialized(cls, requires_grad, device, dtype)


class UninitializedBuffer(UninitializedTensorMixin):
    """A buffer whose shape the first forward call finds out."""

    __slots__ = ()
    cls_to_become = Tensor

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: DType | None = None,
        persistent: bool = True,
    ) -> Any:
        """A buffer to be allocated later."""
        buffer = _uninitialized(cls, requires_grad, device, dtype)
        buffer.persistent = persistent
        return buffer


def _uninitialized(
    cls: type[Any], requires_grad: bool, device: Any, dtype: DType | None
) -> Any:
    where = fb.get_default_device() if device is None else Device(device)
    made: Any = TensorFields.__new__(cls)
    made._kind = kind_of(where, dtype or get_default_dtype())
    made._native = made._storage = made._layout = None
    made._base = made._fn = made._grad = made._extra = None
    made._requires_grad, made._seen = requires_grad, 0
    return made


def is_lazy(param: Any) -> bool:
    """Whether a parameter or buffer has no shape yet."""
    return isinstance(param, UninitializedTensorMixin)
