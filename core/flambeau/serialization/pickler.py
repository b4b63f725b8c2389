"""Pickles with PyTorch's names, so that PyTorch can load them without this library."""

from __future__ import annotations

import codecs
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from flambeau import dtypes
from flambeau.device import device as Device
from flambeau.dtypes import dtype as DType
from flambeau.layout import Size
from flambeau.random import Generator
from flambeau.serialization.location import location_tag
from flambeau.storage import Storage
from flambeau.storages.legacy import LegacyStorage, class_of
from flambeau.storages.typed import TypedStorage
from flambeau.storages.untyped import UntypedStorage
from flambeau.tensor import Tensor


class Name:
    """A name in a pickle, of something that need not be here."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *args: Any) -> Any:
        """Never called: pickle only wants to see that it could be."""
        raise TypeError(f"{self.module}.{self.name} is only a name")


def _utils(name: str) -> Name:
    return Name("torch._utils", name)


_V2, _V3 = _utils("_rebuild_tensor_v2"), _utils("_rebuild_tensor_v3")
_META = _utils("_rebuild_meta_tensor_no_storage")
_SPARSE = _utils("_rebuild_sparse_tensor")
_PARAMETER = _utils("_rebuild_parameter")
_PARAMETER_WITH_STATE = _utils("_rebuild_parameter_with_state")
_FROM_TYPE = Name("torch._tensor", "_rebuild_from_type_v2")
_LAYOUT = Name("torch.serialization", "_get_layout")
_SIZE, _DEVICE = Name("torch", "Size"), Name("torch", "device")
_GENERATOR = Name("torch._C", "Generator")
_TENSOR, _PARAMETER_CLASS = Name("torch", "Tensor"), Name("torch.nn.parameter", "Parameter")
_UNTYPED, _TYPED = Name("torch.storage", "UntypedStorage"), Name("torch.storage", "TypedStorage")
_DTYPES: Final = {d: Name("torch", d.name) for d in dtypes.ALL}
_STORAGES: Final = {
    d: Name("torch", class_of(d).__name__) for d in dtypes.ALL if class_of(d) is not UntypedStorage}


class Contents:
    """The storages that a pickle refers to, by key, in order."""

    def __init__(self) -> None:
        self.storages: dict[str, tuple[Storage, DType]] = {}
        self._keys: dict[int, str] = {}

    def key_of(self, storage: Storage, what: DType) -> str:
        """The key of a storage; storages over the same buffer have one.

        Raises:
            RuntimeError: if it was met before with elements of another dtype.
        """
        key = self._keys.get(id(storage.buffer))
        if key is None or not storage.nbytes:
            key = str(len(self.storages))
            self.storages[key] = storage, what  # alive, so that the id stays its own
            self._keys[id(storage.buffer)] = key
        elif self.storages[key][1] is not what:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different "
                f"types: {self.storages[key][1].name} and {what.name}; clone() one of them")
        return key


def make(contents: Contents, base: Any, is_legacy: bool = False) -> Any:
    """A pickler class.

    Args:
        contents: is told of the storages.
        base: ``pickle._Pickler`` or a class derived from it, as dill's.
    """

    class Pickler(base):  # type: ignore[misc]
        def persistent_id(self, obj: Any) -> Any:
            """What stands for a storage."""
            if not isinstance(obj, (TypedStorage, UntypedStorage)):
                return None
            storage = obj._storage
            what = obj.dtype if isinstance(obj, TypedStorage) else dtypes.uint8
            name = _STORAGES.get(what) if isinstance(obj, TypedStorage) else _UNTYPED
            is_bytes = name is None or name is _UNTYPED
            key = contents.key_of(storage, dtypes.uint8 if is_bytes else what)
            count = storage.nbytes if is_bytes else storage.nbytes // what.itemsize
            pid = ("storage", name or _UNTYPED, key, location_tag(obj.untyped()), count)
            return (*pid, None) if is_legacy else pid

        def reducer_override(self, obj: Any) -> Any:
            """How the objects that PyTorch knows are written."""
            cls = type(obj)
            if cls is bytes and not obj and self.proto < 3:
                return codecs.encode, ("", "latin1")  # as PyTorch allows it
            reducer = _REDUCERS.get(cls)
            if reducer is None and isinstance(obj, Tensor):
                reducer = _tensor
            return NotImplemented if reducer is None else reducer(obj)

        def save_global(self, obj: Any, name: str | None = None) -> None:
            """Write a name: PyTorch's, where it has the class, too."""
            known = obj if type(obj) is Name else _class_name(obj)
            if known is None:
                super().save_global(obj, name)
                return
            self.write(
                pickle.GLOBAL + f"{known.module}\n{known.name}\n".encode("ascii"))
            self.memoize(obj)

    return Pickler


def _class_name(obj: Any) -> Name | None:
    """PyTorch's name of a class or a dtype."""
    from flambeau.nn.parameter import Parameter

    if isinstance(obj, DType):
        return _DTYPES[obj]
    if isinstance(obj, type) and issubclass(obj, LegacyStorage) and obj is not LegacyStorage:
        return _STORAGES[obj.dtype]
    known: dict[Any, Name] = {
        Tensor: _TENSOR, Parameter: _PARAMETER_CLASS, Size: _SIZE, Device: _DEVICE,
        UntypedStorage: _UNTYPED, TypedStorage: _TYPED, Generator: _GENERATOR}
    return known.get(obj) if isinstance(obj, type) else None


# ---- tensors -----------------------------------------------------------------------------------
def _tensor(t: Tensor) -> tuple[Any, ...]:
    from flambeau.nn.parameter import Parameter, is_lazy

    if is_lazy(t):
        return t.__reduce_ex__(2)  # type: ignore[no-any-return]
    if getattr(getattr(t, "layout", None), "name", "strided") != "strided":
        return _SPARSE, _sparse(t)
    state = dict(t.__dict__)
    if type(t) is Parameter:
        args: tuple[Any, ...] = (t.detach().as_subclass(Tensor), t.requires_grad, OrderedDict())
        return (_PARAMETER_WITH_STATE, (*args, state)) if state else (_PARAMETER, args)
    function, plain = _plain(t)
    if type(t) is Tensor and not state:
        return function, plain
    return _FROM_TYPE, (function, type(t), plain, state)


def _plain(t: Tensor) -> tuple[Name, tuple[Any, ...]]:
    """The function that makes a tensor again, and its arguments."""
    layout = t.layout_()
    shape, strides = tuple(layout.shape), tuple(layout.strides)
    if t.device.type == "meta":
        return _META, (t.dtype, shape, strides, t.requires_grad)
    storage = TypedStorage.over(t.storage_(), t.dtype)
    if t.dtype in _STORAGES:
        return _V2, (storage, layout.offset, shape, strides, t.requires_grad, OrderedDict())
    return _V3, (
        storage.untyped(), layout.offset, shape, strides, t.requires_grad, OrderedDict(), t.dtype)


def _sparse(t: Any) -> tuple[Any, ...]:
    layout = t.layout
    if layout.name == "sparse_coo":
        return layout, (t._indices(), t._values(), tuple(t.shape), t.is_coalesced())
    if not layout.name.startswith("sparse_"):
        raise NotImplementedError(
            f"tensors of the layout {layout} cannot be saved; save the parts that unbind() gives")
    return layout, (*t._pattern.parts(), t.values().detach(), tuple(t.shape))


def _generator(g: Generator) -> tuple[Any, ...]:
    return _GENERATOR, (g.device,), (g.initial_seed(), None, g.get_state())


def _device(d: Device) -> tuple[Any, ...]:
    return _DEVICE, (d.type,) if d.index is None else (d.type, d.index)


def _layout_reducers() -> dict[type, Callable[[Any], Any]]:
    from flambeau.ops.facts import layout

    return {layout: lambda value: (_LAYOUT, (f"torch.{value.name}",))}


_REDUCERS: Final[dict[type, Callable[[Any], Any]]] = {
    Name: lambda name: name.name,
    DType: lambda dtype: dtype.name,
    Size: lambda size: (_SIZE, (tuple(size),)),
    Device: _device,
    Generator: _generator,
    **_layout_reducers(),
}
