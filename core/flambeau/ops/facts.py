"""What is asked about a tensor: its kind, its memory, its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flambeau import dtypes, package_name
from flambeau.tensor import Tensor

if TYPE_CHECKING:
    from flambeau.storages import TypedStorage, UntypedStorage


def _is_tensor(name: str, input: Any) -> Tensor:
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    return input


# ---- dtype and value ---------------------------------------------------------------------------
def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is floating (complex ones are not)."""
    return _is_tensor("is_floating_point", input).dtype.is_floating_point


def is_complex(input: Tensor) -> bool:
    """Whether the dtype is complex."""
    return _is_tensor("is_complex", input).dtype.is_complex


def is_signed(input: Tensor) -> bool:
    """Whether the dtype holds negative numbers."""
    return _is_tensor("is_signed", input).dtype.is_signed


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element of a tensor is not zero."""
    return bool(_is_tensor("is_nonzero", input))


def is_conj(input: Tensor) -> bool:
    """Whether a conjugation is pending; never, it is computed at once."""
    _is_tensor("is_conj", input)
    return False


def is_neg(input: Tensor) -> bool:
    """Whether a negation is pending; never, it is computed at once."""
    _is_tensor("is_neg", input)
    return False


def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made in inference mode; such tensors are not marked here."""
    _is_tensor("is_inference", input)
    return False


def result_type(tensor1: Any, tensor2: Any) -> dtypes.dtype:
    """The dtype of arithmetic between two tensors or numbers."""
    return dtypes.result_type([
        (o.dtype, o.ndim, None) if isinstance(o, Tensor) else (None, 0, o)
        for o in (tensor1, tensor2)
    ])


def typename(obj: Any, /) -> str:
    """The name of a tensor's type as ``"flambeau.FloatTensor"``, of other objects' class."""
    if isinstance(obj, Tensor):
        name: str = obj.type()
        return name
    cls = obj if isinstance(obj, type) else type(obj)
    module = "" if cls.__module__ in ("builtins", "__builtin__") else f"{cls.__module__}."
    return f"{module}{cls.__qualname__}"


# ---- shape -------------------------------------------------------------------------------------
def numel(input: Tensor) -> int:
    """Number of elements."""
    return _is_tensor("numel", input).numel()


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape."""
    return _is_tensor("is_same_size", input).shape == other.shape


def ndimension(self: Tensor) -> int:
    """Number of dimensions."""
    return self.ndim


def dim_order(self: Tensor) -> tuple[int, ...]:
    """The dimensions from the outermost to the innermost in memory."""
    return tuple(self.layout_().order()[::-1]) if not self.is_contiguous() else tuple(
        range(self.ndim))


class layout:
    """How the elements of a tensor are stored."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"{package_name.shown}.{self.name}"

    def __reduce__(self) -> str:
        return self.name


strided: Final = layout("strided")
sparse_coo: Final = layout("sparse_coo")
sparse_csr: Final = layout("sparse_csr")
sparse_csc: Final = layout("sparse_csc")
sparse_bsr: Final = layout("sparse_bsr")
sparse_bsc: Final = layout("sparse_bsc")
jagged: Final = layout("jagged")


# ---- memory ------------------------------------------------------------------------------------
def is_storage(obj: Any, /) -> bool:
    """Whether an object is the memory of a tensor."""
    from flambeau.storages.conversions import Conversions

    return isinstance(obj, Conversions)


def untyped_storage(self: Tensor) -> UntypedStorage:
    """The bytes that the tensor lies in."""
    from flambeau.storages.untyped import UntypedStorage

    return UntypedStorage.over(self.storage_())


def storage(self: Tensor) -> TypedStorage:
    """The memory that the tensor lies in, as elements of its dtype."""
    from flambeau.storages.typed import TypedStorage

    return TypedStorage.over(self.storage_(), self.dtype)


def storage_type(self: Tensor) -> Any:
    """The class of the tensor's typed storage."""
    from flambeau.storages.legacy import class_of

    return class_of(self.dtype)


def data_ptr(self: Tensor) -> int:
    """The address of the first element."""
    if not self.numel():
        return 0
    from flambeau.storages.memory import address

    return address(self.storage_()) + self.storage_offset() * self.itemsize


def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both refer to the same memory with the same shape and strides."""
    return (
        self.storage_().buffer is tensor.storage_().buffer and self.layout_() == tensor.layout_())


def is_shared(self: Tensor) -> bool:
    """Whether forked processes see each other's writes to the memory."""
    from flambeau.storages import memory

    return memory.is_shared(self.storage_())


def share_memory_(self: Tensor) -> Tensor:
    """Move the elements to memory that forked processes share; nothing on other devices.

    Raises:
        RuntimeError: if other tensors are views of the same memory: they would stay behind.
    """
    import sys

    from flambeau.storages import memory

    storage = self.storage_()
    if memory.is_shared(storage) or not storage.nbytes:
        return self
    if sys.getrefcount(storage) > 3:  # this tensor, the variable, the argument of getrefcount
        raise RuntimeError(
            "share_memory_(): other tensors are views of this memory. Share it before taking "
            "views of it.")
    memory.share(storage)
    self._native = None
    return self


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """The tensor itself: no backend needs page-locked memory yet."""
    if self.device.type != "cpu":
        raise RuntimeError(
            f"cannot pin '{self.type()}': only dense CPU tensors can be pinned")
    return self


def is_pinned(self: Tensor, device: Any = None) -> bool:
    """Whether the memory is page-locked."""
    return False


def get_device(input: Tensor) -> int:
    """The index of the device, -1 for the CPU."""
    where = _is_tensor("get_device", input).device
    return -1 if where.type == "cpu" else (where.index or 0)


_FUNCTIONS: Final = (
    get_device, is_complex, is_conj, is_floating_point, is_inference, is_neg, is_nonzero,
    is_same_size, is_signed,
)
for _method in (
    *_FUNCTIONS, data_ptr, dim_order, is_pinned, is_set_to, is_shared, ndimension, pin_memory,
    share_memory_, storage, storage_type, untyped_storage,
):
    setattr(Tensor, _method.__name__, _method)


def _on(kind: str) -> property:
    return property(
        lambda self: self.device.type == kind, doc=f"Whether the tensor is on a {kind} device.")


setattr(Tensor, "layout", property(lambda self: strided, doc="``strided``, or a sparse one."))  # noqa: B010
for _kind in ("cpu", "cuda", "meta", "mps", "xpu"):
    setattr(Tensor, f"is_{_kind}", _on(_kind))
for _kind in ("sparse", "sparse_csr", "quantized", "nested", "mkldnn"):
    setattr(Tensor, f"is_{_kind}", property(lambda self: False, doc="False: tensors are dense."))
