"""The tensor: storage, layout, dtype and autograd history.

A tensor holds a *native* (the backend's own array) or a storage with a layout, or both; each is
derived from the other when first needed.  Operators are installed on the class from the
registry; what stands here is what is not an operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from flambeau import overrides
from flambeau.autograd.grad_mode import MODE
from flambeau.autograd.node import Hooks, Node, OutputOf
from flambeau.caution import warn
from flambeau.device import device
from flambeau.dtypes import dtype
from flambeau.fields import TensorFields
from flambeau.kind import Kind
from flambeau.layout import Layout, Size
from flambeau.storage import Storage

if TYPE_CHECKING:
    import numpy as np

    from flambeau.tensor_methods import TensorMethods
else:
    TensorMethods = object  # operators are installed from the registry


class Tensor(TensorFields, TensorMethods):
    """A multi-dimensional array of one dtype on one device, with automatic differentiation."""

    __slots__ = ("__dict__", "__weakref__")
    _plain: Any
    """``_base`` as the short ways read it: classes that see every call refuse it to them, so that
    for their tensors, and for no others, the long way is taken."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Tensor:
        """Sizes make an uninitialised tensor, data a copy (as ``tensor`` does)."""
        from flambeau.construct import legacy_tensor

        made = legacy_tensor(*args, **kwargs)
        return made if cls is Tensor else made.as_subclass(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Subclasses may take arguments of their own."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        overrides.register(cls)

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an op on tensors of a subclass: its results are of the subclass too.

        Subclasses override this to see or change every call, as with PyTorch.
        """
        return overrides.keep_class(cls, func, args, kwargs or {})

    # ---- memory ----------------------------------------------------------------------------
    def storage_(self) -> Storage:
        """The storage; made from the native if a fresh kernel returned only that."""
        return self._storage if self._storage is not None else self._derive()

    def layout_(self) -> Layout:
        """Shape, strides and offset as one object."""
        if self._layout is None:
            self._derive()
            assert self._layout is not None
        return self._layout

    def _derive(self) -> Storage:
        kind = self._kind
        self._native, buffer, nbytes, self._layout = kind.backend.adopt(self._native)
        self._storage = storage = Storage(kind.device, kind.backend, buffer, nbytes)
        return storage

    def native(self) -> Any:
        """The backend's own array over this tensor's elements."""
        native = self._native
        if native is None:
            kind, storage = self._kind, self._storage
            assert storage is not None and self._layout is not None
            native = kind.backend.native(storage.buffer, kind.dtype, self._layout)
            self._native = native
        return native

    @property
    def _version(self) -> int:
        return 0 if self._storage is None else self._storage.version

    @property
    def shape(self) -> Size:
        """Sizes of the dimensions."""
        layout = self._layout
        return layout.shape if layout is not None else Size(self._native.shape)

    @property
    def dtype(self) -> dtype:
        """The element type."""
        return self._kind.dtype

    @property
    def device(self) -> device:
        """Where the elements are."""
        return self._kind.device

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        layout = self._layout
        return layout.ndim if layout is not None else len(self._native.shape)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self._kind.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.numel() * self._kind.dtype.itemsize

    def dim(self) -> int:
        """Number of dimensions."""
        return self.ndim

    def numel(self) -> int:
        """Number of elements."""
        layout = self._layout
        return layout.numel if layout is not None else self.shape.numel()

    def size(self, dim: int | None = None) -> Any:
        """All sizes, or that of one dimension."""
        shape = self.shape
        if dim is None:
            return shape
        if not -len(shape) <= dim < len(shape):
            from flambeau.layout import wrap_dim

            dim = wrap_dim(dim, len(shape))
        return shape[dim]

    def stride(self, dim: int | None = None) -> Any:
        """All strides in elements, or that of one dimension."""
        strides = self.layout_().strides
        if dim is None:
            return strides
        from flambeau.layout import wrap_dim

        return strides[wrap_dim(dim, len(strides))]

    def storage_offset(self) -> int:
        """Elements from the start of the storage to the first element."""
        return self.layout_().offset

    def element_size(self) -> int:
        """Bytes per element."""
        return self._kind.dtype.itemsize

    def nelement(self) -> int:
        """Number of elements."""
        return self.numel()

    # ---- autograd --------------------------------------------------------------------------
    @property
    def requires_grad(self) -> bool:
        """Whether gradients are to be computed for this tensor."""
        if self._base is not None:
            self._refresh_history()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Change in place whether gradients are computed for this leaf.

        Raises:
            RuntimeError: for a tensor that is no leaf, or not of a floating or complex dtype.
        """
        if requires_grad and not self._kind.is_differentiable:
            raise RuntimeError(
                "only Tensors of floating point and complex dtype can require gradients, got "
                f"{self.dtype}"
            )
        if not self.is_leaf and not requires_grad:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a "
                "computed variable in a subgraph that doesn't require differentiation use "
                "var_no_grad = var.detach()."
            )
        if self.is_leaf:
            self._requires_grad = bool(requires_grad)
            if requires_grad:
                self._base = None  # a leaf now: its views have their history from it
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether the user made it: no operation that autograd recorded produced it."""
        if self._base is not None:
            self._refresh_history()
        return self._fn is None

    @property
    def grad_fn(self) -> Node | None:
        """The node that produced it, None for a leaf."""
        if self._base is not None:
            self._refresh_history()
        fn = self._fn
        return fn.edges[0] if isinstance(fn, OutputOf) else fn

    @property
    def output_nr(self) -> int:
        """Which output of its node it is."""
        return self._fn.position if isinstance(self._fn, OutputOf) else 0

    @property
    def grad(self) -> Tensor | None:
        """The gradient accumulated by ``backward()``."""
        if self._grad is None and self._fn is not None and not self.retains_grad:
            _warn_about_grad_of_non_leaf()
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            _check_grad(self, value)
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def _is_view(self) -> bool:
        return self._base is not None

    def _refresh_history(self) -> None:
        """Bring a view's history up to date after an in-place write through another view."""
        base = self._base
        assert base is not None and self._storage is not None
        version = self._storage.version
        if self._seen == version:
            return
        self._seen = version
        if base._requires_grad and MODE is not None:
            from flambeau.autograd.inplace import view_node

            fn = view_node(base, self)
            if fn is not None:
                self._fn, self._requires_grad = fn, True

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Accumulate into the ``.grad`` of every leaf the gradient of this tensor.

        Args:
            gradient: of the same shape; may be left out for a tensor of one element.
        """
        from flambeau.autograd import engine

        engine.backward(self, gradient, retain_graph, create_graph, inputs)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Any:
        """Call ``hook(grad)`` whenever the gradient of this tensor is computed.

        Returns:
            a handle whose ``remove()`` takes the hook out.
        """
        if not self.requires_grad:
            raise RuntimeError(
                "cannot register a hook on a tensor that doesn't require gradient"
            )
        return self._hooks().add("tensor", hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> Any:
        """Call ``hook(tensor)`` after a gradient has been accumulated into this leaf."""
        if not self.requires_grad or not self.is_leaf:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors or tensors "
                "that don't require gradient"
            )
        return self._hooks().add("accumulated", hook)

    def _hooks(self) -> Hooks:
        if self._fn is not None:
            return self._fn._hook_table()
        if not isinstance(self._extra, Hooks):
            self._extra = Hooks()
        return self._extra

    def retain_grad(self) -> None:
        """Keep ``.grad`` of this tensor although it is no leaf."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self._fn is None or self.retains_grad:
            return
        import weakref

        reference = weakref.ref(self)

        def keep(g: Tensor) -> None:
            tensor = reference()
            if tensor is not None:
                tensor._grad = g.clone() if tensor._grad is None else tensor._grad + g

        self._extra = RETAINS_GRAD
        self._hooks().add("tensor", keep)

    @property
    def retains_grad(self) -> bool:
        """Whether ``retain_grad()`` was called on this non-leaf."""
        return self._extra is RETAINS_GRAD

    def detach(self) -> Tensor:
        """The same memory without history; in-place writes are seen, and counted, by both."""
        self.storage_()
        return alias_of(self)

    def detach_(self) -> Tensor:
        """Forget the history in place."""
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._fn, self._requires_grad = None, False
        return self

    @property
    def data(self) -> Tensor:
        """The same memory without history; writes to it are not counted for autograd."""
        self.storage_()
        result = alias_of(self)
        assert result._storage is not None
        result._storage = result._storage.sharing()
        return result

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self._requires_grad and not value._kind.is_differentiable:
            raise RuntimeError("data set to a tensor that requires gradients must be floating")
        version = self._version
        self._storage, self._layout = value.storage_().sharing(), value.layout_()
        self._kind, self._native = value._kind, None
        self._storage.version = version

    def _ones_like(self) -> Tensor:
        from flambeau.dispatch import full

        return full(self._kind, self.shape, 1)

    # ---- Python ----------------------------------------------------------------------------
    def item(self) -> Any:
        """The value of a tensor of one element as a Python number."""
        try:
            return self._native.item()
        except (AttributeError, ValueError):
            from flambeau.interop import item

            return item(self)

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        from flambeau.interop import host_array

        return host_array(self).tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """A NumPy array over the same memory (CPU tensors without gradient)."""
        from flambeau.interop import to_numpy

        return to_numpy(self, force)

    # NumPy's operators leave `number * tensor` to the tensor.
    __array_priority__ = 1000

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        from flambeau.interop import as_array

        return as_array(self, dtype, copy)

    def __dlpack__(self, **kwargs: Any) -> Any:
        from flambeau.interop import to_dlpack

        return to_dlpack(self, **kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        from flambeau.interop import dlpack_device

        return dlpack_device(self)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        from flambeau.printing import tensor_text

        text: str = tensor_text(self)
        return text

    def __format__(self, spec: str) -> str:
        if not self.ndim and type(self) is Tensor and self.device.type != "meta":
            return format(self.item(), spec)
        return object.__format__(self, spec)

    def __bool__(self) -> bool:
        n = self.numel()
        if n != 1:
            raise RuntimeError(
                f"Boolean value of Tensor with {'no' if n == 0 else 'more than one'} value"
                f"{'s' if n == 0 else ''} is ambiguous"
            )
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self._kind.dtype.category > 1 or self.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __len__(self) -> int:
        shape = self.shape
        if not shape:
            raise TypeError("len() of a 0-d tensor")
        first: int = shape[0]
        return first

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, (Tensor, int, float, complex)):
            return bool((self == value).any())
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(value)}."
        )

    __hash__ = object.__hash__

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        from flambeau.interop import deepcopy

        return deepcopy(self, memo)

    def __copy__(self) -> Tensor:
        """Another tensor of the same class over the same storage, without history."""
        self.storage_()
        result: Tensor = alias_of(self, type(self))
        result._requires_grad = self._requires_grad
        return result

    def __reduce_ex__(self, protocol: Any) -> Any:
        from flambeau.interop import reduce_tensor

        return reduce_tensor(self)

    def as_subclass(self, cls: type[Any]) -> Any:
        """The same tensor, history included, as an instance of a subclass."""
        self.storage_()
        result = alias_of(self, cls)
        result._requires_grad, result._fn, result._base = self._requires_grad, self._fn, self._base
        result._seen = self._seen
        return result


Tensor._plain = TensorFields.__dict__["_base"]

RETAINS_GRAD: Final = object()
_new: Final = TensorFields.__new__


def from_native(kind: Kind, native: Any) -> Tensor:
    """A tensor over an array that a backend has just made."""
    t = _new(Tensor)
    t._native, t._kind = native, kind
    t._storage = t._layout = t._base = t._fn = t._grad = t._extra = None
    t._requires_grad, t._seen = False, 0
    return t


def from_storage(kind: Kind, storage: Storage, layout: Layout) -> Tensor:
    """A tensor over a part of a storage."""
    t = _new(Tensor)
    t._native, t._kind, t._storage, t._layout = None, kind, storage, layout
    t._base = t._fn = t._grad = t._extra = None
    t._requires_grad, t._seen = False, 0
    return t


def alias_of(source: Tensor, cls: type[Tensor] = Tensor) -> Tensor:
    """Another tensor over the same storage and layout, without history."""
    t = _new(cls)
    t._native, t._kind = source._native, source._kind
    t._storage, t._layout = source._storage, source._layout
    t._base = t._fn = t._grad = t._extra = None
    t._requires_grad, t._seen = False, 0
    return t


def _check_grad(t: Tensor, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"assigned grad expected to be a Tensor or None but got grad of type "
            f"{type(value).__name__}"
        )
    if value is t:
        raise RuntimeError("can't assign Variable as its own grad")
    if value.dtype is not t.dtype:
        raise RuntimeError(
            f"attempting to assign a gradient with dtype '{value.dtype}' to a tensor with dtype "
            f"'{t.dtype}'. Please ensure that the gradient and the tensor have the same dtype"
        )
    if value.device is not t.device:
        raise RuntimeError(
            f"assigned grad has data located on a different device: {value.device} is not "
            f"{t.device}"
        )
    if value.shape != t.shape:
        raise RuntimeError(
            f"assigned grad has data of a different size: {list(value.shape)} is not "
            f"{list(t.shape)}"
        )


def _warn_about_grad_of_non_leaf() -> None:
    warn(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad "
        "attribute won't be populated during autograd.backward(). If you indeed want the .grad "
        "field to be populated for a non-leaf Tensor, use .retain_grad() on the non-leaf Tensor.")
