"""The pair (device, dtype): what the dispatcher looks at first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flambeau.device import CPU, META
from flambeau.device import device as Device
from flambeau.dtypes import dtype as DType
from flambeau.limited import Limited, is_limited

if TYPE_CHECKING:
    from flambeau.backend import Backend


class Kind:
    """One device with one dtype.  Interned: the tables of kernels are keyed by identity."""

    __slots__ = ("backend", "device", "dtype", "is_differentiable")
    device: Device
    dtype: DType
    backend: Backend
    is_differentiable: bool  # only floating and complex tensors can require a gradient

    def __init__(self, where: Device, what: DType, backend: Backend) -> None:
        self.device, self.dtype, self.backend = where, what, backend
        self.is_differentiable = what.category >= 2

    def __repr__(self) -> str:
        return f"Kind({self.device}, {self.dtype.name})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (kind_of, (self.device, self.dtype))


    def widest_real(self) -> DType:
        """float64, or float32 on a device that has no doubles: for intermediate results."""
        from flambeau.dtypes import float32, float64

        held = self.backend.capabilities(self.device.index or 0).dtypes
        return float64 if float64 in held else float32


kinds: dict[tuple[Device, DType], Kind] = {}


def kind_of(where: Device | str, what: DType) -> Kind:
    """The kind of a device and a dtype.

    Loads the backend when its device is named for the first time.

    Raises:
        RuntimeError: for a device that is not installed, or an index that does not exist.
        UnsupportedDtypeError: for a dtype that the device does not hold.
    """
    place = where if isinstance(where, Device) else Device(where)
    found = kinds.get((place, what))
    return found if found is not None else _make(place, what)


def _make(place: Device, what: DType) -> Kind:
    from flambeau.errors import UnsupportedDtypeError
    from flambeau.plugins import backend_for

    backend = backend_for(place.type)
    real = place
    if place is not CPU and place is not META:
        real = Device(place.type, backend.current_device() if place.index is None else place.index)
        count = backend.device_count()
        assert real.index is not None
        if real.index >= count:
            raise RuntimeError(
                f"invalid device {place}: the backend {place.type!r} has {count} device(s)"
                + (f", {place.type}:0 to {place.type}:{count - 1}" if count > 1 else "")
            )
    if what not in backend.capabilities(real.index or 0).dtypes:
        held = ", ".join(sorted(d.name for d in backend.capabilities(real.index or 0).dtypes))
        error = UnsupportedDtypeError(
            f"{what!r} is not supported on device {real}; it holds: {held}. "
            "Convert with .to(dtype) before moving the tensor."
        )
        error.dtype = what
        raise error
    if is_limited(what):
        Limited.seen = True
    kind = kinds.get((real, what))
    if kind is None:
        kind = kinds.setdefault((real, what), Kind(real, what, backend))
    if place is real or place.index is not None or backend.current_device_is_fixed:
        kinds[(place, what)] = kind
    return kind
