"""What files may have made: each constructor checks all that it is given.

The arguments come from a file and may be anything; memory is only looked at within its bounds.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from flambeau.device import device as Device
from flambeau.dtypes import dtype as DType
from flambeau.kind import kind_of
from flambeau.layout import Layout, Size, product
from flambeau.serialization.errors import CheckpointError
from flambeau.storages.typed import TypedStorage
from flambeau.storages.untyped import UntypedStorage
from flambeau.tensor import Tensor, from_storage

_LARGEST: Final = 1 << 62
_MOST_REPEATED: Final = 1 << 34  # elements of a tensor that repeats few by strides of 0
_DEEPEST_KEY: Final = 16
_NUMERIC: Final = re.compile(r"[<>=|]?[biufc](1|2|4|8|16)")


def refuse(what: str, value: Any = "") -> Any:
    """Raise for an argument that does not fit."""
    raise CheckpointError(f"{what} {str(value)[:80]}".rstrip())


# ---- tensors -----------------------------------------------------------------------------------
def tensor_v1(storage: Any, storage_offset: Any, size: Any, stride: Any) -> Tensor:
    """A tensor over a typed storage, in the form of the oldest files."""
    if not isinstance(storage, TypedStorage):
        refuse("a tensor is to be made over no storage, but", type(storage).__name__)
    return _over(storage, storage.dtype, storage_offset, size, stride, False)


def tensor_v2(
    storage: Any, storage_offset: Any, size: Any, stride: Any, requires_grad: Any,
    backward_hooks: Any, metadata: Any = None,
) -> Tensor:
    """A tensor over a typed storage."""
    if not isinstance(storage, TypedStorage):
        refuse("a tensor is to be made over no storage, but", type(storage).__name__)
    what = storage.dtype
    return _marked(
        _over(storage, what, storage_offset, size, stride, requires_grad), metadata)


def tensor_v3(
    storage: Any, storage_offset: Any, size: Any, stride: Any, requires_grad: Any,
    backward_hooks: Any, dtype: Any, metadata: Any = None,
) -> Tensor:
    """A tensor of a dtype over bytes."""
    if not isinstance(storage, (TypedStorage, UntypedStorage)) or not isinstance(dtype, DType):
        refuse("a tensor is to be made over no storage, but", type(storage).__name__)
    return _marked(_over(storage, dtype, storage_offset, size, stride, requires_grad), metadata)


def _over(
    storage: TypedStorage | UntypedStorage, what: DType, offset: Any, size: Any, stride: Any,
    requires_grad: Any,
) -> Tensor:
    held = storage.nbytes() // what.itemsize
    layout = _layout(offset, size, stride)
    if layout.numel and layout.span() > held:
        refuse(f"a tensor of shape {tuple(layout.shape)}, strides {layout.strides} and offset "
               f"{offset} reaches beyond its storage of {held} elements")
    if layout.numel > max(held * 64, _MOST_REPEATED):
        refuse(f"a tensor of {layout.numel} elements repeats only {held}")
    made = from_storage(kind_of(storage.device, what), storage._storage, layout)
    return _requiring(made, requires_grad)


def _layout(offset: Any, size: Any, stride: Any) -> Layout:
    shape, strides = _numbers(size), _numbers(stride)
    if len(shape) != len(strides):
        refuse(f"a shape of {len(shape)} sizes comes with {len(strides)} strides")
    if type(offset) is not int or not 0 <= offset < _LARGEST:
        refuse("no valid offset of a tensor:", offset)
    if product(max(n, 1) for n in shape) >= _LARGEST:
        refuse("no valid shape of a tensor:", shape)
    return Layout.of(shape, strides, offset)


def _numbers(values: Any) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or len(values) > 64 or not all(
            type(v) is int and 0 <= v < _LARGEST for v in values):
        refuse("no valid sizes or strides of a tensor:", values)
    return tuple(values)


def _requiring(made: Tensor, requires_grad: Any) -> Tensor:
    if type(requires_grad) is not bool:
        refuse("requires_grad is no bool, but", type(requires_grad).__name__)
    if requires_grad and not made.dtype.category >= 2:
        refuse(f"a tensor of {made.dtype.name} cannot require a gradient")
    return made.requires_grad_() if requires_grad else made


def _marked(made: Tensor, metadata: Any) -> Tensor:
    """The tensor with what its file says is still to be done to its elements."""
    if not metadata:
        return made
    if type(metadata) is not dict:
        refuse("the metadata of a tensor are no dict, but", type(metadata).__name__)
    requires_grad, result = made.requires_grad, made.detach()
    if metadata.get("conj") is True:
        result = result.conj()
    if metadata.get("neg") is True:
        result = -result
    return result.requires_grad_(requires_grad)


def meta_tensor(dtype: Any, size: Any, stride: Any, requires_grad: Any) -> Tensor:
    """A tensor without data."""
    if not isinstance(dtype, DType):
        refuse("no dtype:", type(dtype).__name__)
    layout = _layout(0, size, stride)
    storage = UntypedStorage(layout.span() * dtype.itemsize, device="meta")
    made = from_storage(kind_of("meta", dtype), storage._storage, layout)
    return _requiring(made, requires_grad)


def device_tensor_from_numpy(data: Any, dtype: Any, device: Any, requires_grad: Any) -> Tensor:
    """A tensor from an array, as files of devices without storages have it."""
    from flambeau.construct import from_numpy

    if not isinstance(data, np.ndarray):
        refuse("no array:", type(data).__name__)
    return device_tensor(from_numpy(np.ascontiguousarray(data)), dtype, device, requires_grad)


def device_tensor(data: Any, dtype: Any, device: Any, requires_grad: Any) -> Tensor:
    """A tensor of a device without storages; it comes on the CPU."""
    if not isinstance(data, Tensor) or not isinstance(dtype, DType):
        refuse("no tensor:", type(data).__name__)
    return _requiring(data.detach().to(dtype), requires_grad)


def sparse_tensor(layout: Any, data: Any) -> Any:
    """A sparse tensor from its indices, values and size."""
    import flambeau as fb

    name = getattr(layout, "name", "")
    if not name.startswith("sparse_") or type(data) is not tuple:
        refuse("no sparse tensor that can be loaded: its layout is", layout)
    count = 2 if name == "sparse_coo" else 3  # of tensors
    *parts, size = data[: count + 1]
    is_whole = len(data) == count + 1 or (
        name == "sparse_coo" and len(data) == 4 and type(data[3]) is bool)
    if not is_whole or not all(isinstance(t, Tensor) for t in parts):
        refuse("a malformed sparse tensor")
    try:
        if name != "sparse_coo":
            starts, others, values = parts
            return fb.sparse_compressed_tensor(
                starts, others, values, _numbers(size), layout=layout, check_invariants=True)
        indices, values = parts
        made = fb.sparse_coo_tensor(indices, values, _numbers(size), check_invariants=True)
    except (RuntimeError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(f"a malformed sparse tensor: {error}") from error
    return made._coalesced_(True) if len(data) == 4 and data[3] else made


def layout_named(name: Any) -> Any:
    """A layout such as ``"torch.strided"``."""
    from flambeau.ops import facts

    word = str(name).rpartition(".")[2]
    found = getattr(facts, word, None)
    return found if isinstance(found, facts.layout) else refuse("no layout:", name)


# ---- parameters and subclasses -----------------------------------------------------------------
def parameter(data: Any, requires_grad: Any, backward_hooks: Any) -> Any:
    """A parameter of a module."""
    from flambeau.nn.parameter import Parameter

    if not isinstance(data, Tensor):
        refuse("a parameter is to be made of no tensor, but", type(data).__name__)
    made = Parameter(data.detach(), requires_grad=False)
    return _requiring(made, requires_grad)


def parameter_with_state(
    data: Any, requires_grad: Any, backward_hooks: Any, state: Any
) -> Any:
    """A parameter with attributes."""
    return with_attributes(parameter(data, requires_grad, backward_hooks), state)


def from_type(function: Any, cls: Any, args: Any, state: Any) -> Any:
    """A tensor of a class that files may name, with attributes."""
    build = CONSTRUCTORS.get(function) if callable(function) else None
    if build is None or not isinstance(cls, type) or not issubclass(cls, Tensor):
        refuse("a tensor is to be made by", function)
    assert build is not None
    made = build(*_tuple(args))
    if not isinstance(made, Tensor):
        refuse("a tensor is to be made of", type(made).__name__)
    if type(made) is not cls:
        requires_grad = made.requires_grad
        made = made.detach().as_subclass(cls)
        made.requires_grad_(requires_grad)
    return with_attributes(made, state)


def with_attributes(made: Any, state: Any) -> Any:
    """Set the attributes that a tensor or a parameter was saved with."""
    parts = state if type(state) is tuple and len(state) == 2 else (state,)
    for part in parts:
        if not part:
            continue
        if type(part) is not dict or not all(type(key) is str for key in part):
            refuse("the attributes of a tensor are no dict of names, but", type(part).__name__)
        made.__dict__.update(part)
    return made


# ---- other values ------------------------------------------------------------------------------
def ordered_dict(*args: Any) -> OrderedDict[Any, Any]:
    """An ordered dict, empty or of pairs."""
    made: OrderedDict[Any, Any] = OrderedDict()
    for pair in args[0] if args else ():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            refuse("an ordered dict is made of pairs, not", pair)
        made[key_of(pair[0])] = pair[1]
    return made


def counter(*args: Any) -> Counter[Any]:
    """A counter of a dict."""
    given = args[0] if args else {}
    return Counter(given) if type(given) is dict else refuse("a counter is made of a dict")


def size(*args: Any) -> Size:
    """A shape."""
    return Size(_numbers(args[0]) if args else ())


def device(*args: Any) -> Device:
    """A device by its name."""
    if not args or type(args[0]) is not str or len(args) > 2:
        refuse("no device:", args)
    try:
        return Device(*args)
    except RuntimeError as error:
        raise CheckpointError(str(error)) from None


def encode(text: Any, encoding: Any = "utf-8") -> bytes:
    """Bytes, which old pickles keep as text."""
    if type(text) is not str or encoding not in ("latin1", "utf-8", "ascii"):
        refuse("bytes are to be made of", type(text).__name__)
    data: bytes = text.encode(encoding)
    return data


def no_bytes(*args: Any) -> bytes:
    """The empty bytes, which old pickles write as a call."""
    if args:
        refuse("bytes are to be made of", args)
    return b""


def byte_array(*args: Any) -> bytearray:
    """A bytearray of bytes or of text, never of a number: that could be any size."""
    if args and type(args[0]) is str:
        return bytearray(encode(*args))
    if len(args) > 1 or (args and not isinstance(args[0], (bytes, list))):
        refuse("a bytearray is to be made of", args)
    return bytearray(*args)


def set_of(*args: Any) -> set[Any]:
    """A set of a list."""
    given = args[0] if args else []
    return {key_of(v) for v in given} if type(given) is list else refuse("no set:", given)


def complex_number(*args: Any) -> complex:
    """A complex number of two real ones."""
    if len(args) > 2 or not all(type(v) in (int, float) for v in args):
        refuse("no complex number:", args)
    return complex(*args)


def generator(*args: Any) -> Any:
    """A generator of random numbers on a device."""
    from flambeau.random import Generator

    where = args[0] if args else "cpu"
    if not isinstance(where, (str, Device)) or len(args) > 1:
        refuse("no device of a generator:", where)
    return Generator("cpu" if str(where).startswith(("cuda", "mps", "xpu")) else where)


# ---- NumPy -------------------------------------------------------------------------------------
def numpy_dtype(*args: Any) -> np.dtype[Any]:
    """The dtype of numbers."""
    name = args[0] if args else ""
    if type(name) is not str or not _NUMERIC.fullmatch(name):
        refuse("no NumPy dtype of numbers:", name)
    return np.dtype(name, align=False, copy=True)


def numpy_scalar(what: Any, data: Any) -> Any:
    """A NumPy number from its bytes."""
    if not isinstance(what, np.dtype) or type(data) is not bytes or len(data) != what.itemsize:
        refuse("a malformed NumPy number")
    return np.frombuffer(data, what, 1)[0]


def numpy_array(cls: Any, shape: Any, code: Any) -> np.ndarray[Any, Any]:
    """An empty array, whose state comes after."""
    if cls is not np.ndarray:
        refuse("no NumPy array, but", cls)
    return np.empty(0, np.uint8)


def set_numpy_state(value: Any, state: Any) -> None:
    """Give a NumPy dtype or array its state, if it is one of plain numbers."""
    if type(state) is not tuple:
        refuse("a malformed state of a NumPy object")
    if isinstance(value, np.dtype):
        if state[1:] and state[0] == 3 and state[1] in ("<", ">", "=", "|") and (
                state[2:] == (None, None, None, -1, -1, 0)):
            value.__setstate__(state)  # type: ignore[attr-defined]
            return
        refuse("a NumPy dtype that is none of numbers:", state)
    if len(state) != 5 or not isinstance(state[1], tuple) or not isinstance(state[2], np.dtype):
        refuse("a malformed state of a NumPy array")
    _, shape, what, is_fortran, data = state
    shape = _numbers(shape)
    if type(data) is not bytes or len(data) != product(shape) * what.itemsize or (
            type(is_fortran) is not bool):
        refuse("a NumPy array of a size that is not that of its bytes:", shape)
    value.__setstate__((1, shape, what, is_fortran, data))


# ---- keys --------------------------------------------------------------------------------------
_HASHABLE: Final = (str, bytes, int, float, complex, bool, type(None), DType, Device, Size, Tensor)


def key_of(value: Any, depth: int = 0) -> Any:
    """A value, if it can be a key: hashing a deep tuple would overflow the stack."""
    if isinstance(value, (tuple, frozenset)) and type(value) is not Size:
        if depth >= _DEEPEST_KEY:
            refuse("a key is a tuple of a depth beyond", _DEEPEST_KEY)
        for item in value:
            key_of(item, depth + 1)
    elif not isinstance(value, (*_HASHABLE, np.generic, type)) and (
            depth or type(value).__hash__ is None):
        refuse("no value that can be a key:", type(value).__name__)
    return value


def _tuple(args: Any) -> Sequence[Any]:
    return args if type(args) is tuple else refuse("no tuple of arguments:", type(args).__name__)


CONSTRUCTORS: Final[dict[Any, Callable[..., Any]]] = {
    OrderedDict: ordered_dict, Counter: counter, Size: size, Device: device,
    bytes: no_bytes, bytearray: byte_array, set: set_of, complex: complex_number,
    np.dtype: numpy_dtype,
    **{function: function for function in (
        tensor_v1, tensor_v2, tensor_v3, meta_tensor, device_tensor, device_tensor_from_numpy,
        sparse_tensor, layout_named, parameter, parameter_with_state, from_type, encode,
        generator, numpy_scalar, numpy_array)},
}
"""What may be called, by what a name in a file stands for."""
