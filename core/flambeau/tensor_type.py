"""PyTorch's older names for types: ``flambeau.FloatTensor`` and ``"flambeau.FloatTensor"``.

Such a type stands for a dtype on a kind of device.  It constructs tensors and answers
``isinstance``; tensors themselves are of the class ``Tensor``, whatever their dtype.
"""

from __future__ import annotations

from typing import Any, Final

from flambeau import dtypes, package_name
from flambeau.construct import legacy_tensor
from flambeau.device import CPU
from flambeau.device import device as Device
from flambeau.dtypes import dtype as DType
from flambeau.tensor import Tensor

_NAMES: Final = {
    dtypes.bool: "BoolTensor", dtypes.uint8: "ByteTensor", dtypes.int8: "CharTensor",
    dtypes.int16: "ShortTensor", dtypes.int32: "IntTensor", dtypes.int64: "LongTensor",
    dtypes.float16: "HalfTensor", dtypes.bfloat16: "BFloat16Tensor",
    dtypes.float32: "FloatTensor", dtypes.float64: "DoubleTensor",
    dtypes.complex64: "ComplexFloatTensor", dtypes.complex128: "ComplexDoubleTensor",
    dtypes.complex32: "ComplexHalfTensor", dtypes.uint16: "UInt16Tensor",
    dtypes.uint32: "UInt32Tensor", dtypes.uint64: "UInt64Tensor",
    **{d: f"{d.name.capitalize()}Tensor" for d in dtypes.OPTIONAL if d.is_floating_point},
}
_BY_NAME: Final = {name: what for what, name in _NAMES.items()}


# ---- names -------------------------------------------------------------------------------------
def type_name(what: DType, place: Device) -> str:
    """The name of a type, as ``flambeau.FloatTensor`` or ``flambeau.cuda.FloatTensor``."""
    between = "" if place.type == "cpu" else f"{place.type}."
    return f"{package_name.shown}.{between}{_NAMES[what]}"


def parse_type(name: str) -> tuple[DType, Device]:
    """The dtype and the device of a type's name; a leading ``torch.`` is as good.

    Raises:
        ValueError: if it is no name of a type.
    """
    library, *between = name.split(".")
    found = _BY_NAME.get(between.pop()) if between else None
    if library not in ("flambeau", "torch") or len(between) > 1 or found is None:
        raise ValueError(f"invalid type: '{name}'")
    return found, Device(between[0]) if between else CPU


def convert(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of the tensor's type; with a type, its name or a dtype, the tensor as that."""
    if dtype is None:
        return type_name(self.dtype, self.device)
    if isinstance(dtype, DType):
        return self.to(dtype=dtype)
    if isinstance(dtype, TensorType):
        return self.to(dtype.place, dtype.dtype)
    if isinstance(dtype, str):
        what, place = parse_type(dtype)
        return self.to(place, what)
    if isinstance(dtype, type):
        raise ValueError(f"invalid type: '{dtype.__name__}'")
    raise TypeError("dtype must be a type, str, or dtype object")


# ---- types -------------------------------------------------------------------------------------
class TensorType(type):
    """A dtype on a kind of device, the CPU if none is given, under its older name."""

    dtype: DType
    place: Device

    def __new__(cls, what: DType, place: Device = CPU) -> TensorType:
        """The type of a dtype on a device."""
        is_cuda = place.type == "cuda"
        members = {"__module__": "flambeau", "dtype": what, "place": place, "is_cuda": is_cuda}
        return super().__new__(cls, _NAMES[what], (), members)

    def __init__(cls, what: DType, place: Device = CPU) -> None:
        super().__init__(_NAMES[what], (), {})

    def __call__(cls, *args: Any, size: Any = None, device: Any = None) -> Tensor:
        """Sizes make an uninitialised tensor, data a copy, a tensor of this type an alias.

        Raises:
            RuntimeError: for a device that is not this type's.
            TypeError: for a tensor of another type, or what is neither data nor sizes.
        """
        place = cls.place if device is None else Device(device)
        if place.type != cls.place.type:
            raise RuntimeError(
                f"legacy constructor expects device type: {cls.place.type} but device type: "
                f"{place.type} was passed")
        args = args if size is None else tuple(size)
        if len(args) == 1 and isinstance(args[0], Tensor) and not isinstance(args[0], cls):
            raise TypeError(f"expected {type_name(cls.dtype, place)} (got {args[0].type()})")
        return legacy_tensor(*args, dtype=cls.dtype, device=place)

    def __instancecheck__(cls, instance: object) -> bool:
        return (
            isinstance(instance, Tensor) and instance.dtype is cls.dtype
            and instance.device.type == cls.place.type
        )


BoolTensor: Final = TensorType(dtypes.bool)
ByteTensor: Final = TensorType(dtypes.uint8)
CharTensor: Final = TensorType(dtypes.int8)
ShortTensor: Final = TensorType(dtypes.int16)
IntTensor: Final = TensorType(dtypes.int32)
LongTensor: Final = TensorType(dtypes.int64)
HalfTensor: Final = TensorType(dtypes.float16)
BFloat16Tensor: Final = TensorType(dtypes.bfloat16)
FloatTensor: Final = TensorType(dtypes.float32)
DoubleTensor: Final = TensorType(dtypes.float64)


def set_default_tensor_type(t: Any) -> None:
    """Set the floating type of Python floats by a type or its name.

    Raises:
        TypeError: if it is not floating, or of another device than the CPU.
    """
    what, place = parse_type(t) if isinstance(t, str) else (
        getattr(t, "dtype", None), getattr(t, "place", None))
    if place is not CPU:
        raise TypeError(
            "set_default_tensor_type() takes a type of the CPU as flambeau.DoubleTensor; use "
            "set_default_device() to choose a device")
    dtypes.set_default_dtype(what)  # type: ignore[arg-type]


setattr(Tensor, "type", convert)  # noqa: B010  the class cannot know it
