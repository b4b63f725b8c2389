"""On which device the memory of loaded tensors is."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from typing import Any, Final

from flambeau.device import CPU
from flambeau.device import device as Device
from flambeau.errors import BackendError
from flambeau.serialization.errors import CheckpointError, call_user
from flambeau.storages.untyped import UntypedStorage

Restore = Callable[[UntypedStorage, str], UntypedStorage]
_packages: Final[list[tuple[int, Callable[..., Any], Callable[..., Any]]]] = []


def register_package(
    priority: int, tagger: Callable[..., str | None], deserializer: Callable[..., Any]
) -> None:
    """Say how storages of a device are tagged in files and brought back.

    Args:
        priority: lower ones are asked first, and before the built-in way.
        tagger: ``tagger(storage)`` gives the tag, or None if it is not for it to say.
        deserializer: ``deserializer(storage, tag)`` gives the storage moved, or None.
    """
    bisect.insort(_packages, (priority, tagger, deserializer), key=lambda p: p[0])


def location_tag(storage: Any) -> str:
    """The tag of a storage's device in a file."""
    for _, tagger, _ in _packages:
        tag = tagger(storage)
        if tag:
            return str(tag)
    return str(storage.device)


def default_restore_location(storage: Any, location: str) -> Any:
    """A storage on the device of a tag.

    Raises:
        CheckpointError: if there is no such device here.
    """
    for _, _, deserializer in _packages:
        found = call_user(deserializer, storage, location)
        if found is not None:
            return found
    where = place_of(location)
    return storage if where is CPU else storage.to(device=where)


def place_of(location: str) -> Device:
    """The device of a tag.

    Raises:
        CheckpointError: if there is no such device here.
    """
    if location == "cpu":
        return CPU
    from flambeau import dtypes
    from flambeau.kind import kind_of

    try:
        return kind_of(Device(location), dtypes.uint8).device
    except BackendError:
        raise
    except (RuntimeError, TypeError, ImportError) as error:
        raise CheckpointError(
            f"don't know how to restore data location of UntypedStorage (tagged with {location}): "
            f"{error}. Use map_location='cpu' to load onto the CPU.") from error


def restorer(map_location: Any) -> tuple[Restore, Callable[[str], str | None]]:
    """How storages get to their devices.

    Args:
        map_location: None, a device or its name, a mapping of tags, or a function
            ``(storage, tag) -> storage | None``.

    Returns:
        a function that moves a storage from the CPU, and one that tells the device's tag
        beforehand, where that can be told: nothing is read for the meta device.

    Raises:
        TypeError: for a ``map_location`` that is none of these.
    """
    if map_location is None:
        return default_restore_location, lambda tag: tag
    if isinstance(map_location, Mapping):
        def mapped(tag: str) -> str:
            return str(map_location.get(tag, tag))

        return lambda storage, tag: default_restore_location(storage, mapped(tag)), mapped
    if isinstance(map_location, (str, Device)):
        target = str(Device(map_location))
        return lambda storage, tag: default_restore_location(storage, target), lambda tag: target
    if not callable(map_location):
        raise TypeError(f"'{type(map_location).__name__}' object is not callable: map_location is "
                        "a device, its name, a dict of tags, or a function")

    def by_function(storage: UntypedStorage, tag: str) -> UntypedStorage:
        found = call_user(map_location, storage, tag)
        if found is None:
            found = default_restore_location(storage, tag)
        untyped: UntypedStorage = found.untyped()
        return untyped

    return by_function, lambda tag: None
