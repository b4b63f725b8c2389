"""Settings of saving and loading, and what may be loaded beside tensors."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, Final


class LoadEndianness(Enum):
    """The order of bytes of files that do not say theirs."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


class _Options:
    endianness: LoadEndianness | None = None
    computes_crc32: bool = True
    mmap_flags: int = getattr(mmap, "MAP_PRIVATE", 2)
    skips_data: bool = False


OPTIONS: Final = _Options()


def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Set the order of bytes of files that do not say theirs; little, if None."""
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    OPTIONS.endianness = endianness


def get_default_load_endianness() -> LoadEndianness | None:
    """The order of bytes of files that do not say theirs."""
    return OPTIONS.endianness


def set_crc32_options(compute_crc32: bool) -> None:
    """Set whether ``save`` computes the checksums of the bytes of tensors.

    Files without them can be loaded here and by PyTorch, but unzip tools complain.
    """
    OPTIONS.computes_crc32 = bool(compute_crc32)


def get_crc32_options() -> bool:
    """Whether ``save`` computes the checksums of the bytes of tensors."""
    return OPTIONS.computes_crc32


class set_default_mmap_options:
    """Set how ``load(..., mmap=True)`` maps files; in a ``with`` block, until its end.

    Args:
        flags: ``mmap.MAP_PRIVATE`` (writes stay in memory) or ``mmap.MAP_SHARED`` (they go to the
            file).
    """

    def __init__(self, flags: int) -> None:
        if flags not in (mmap.MAP_PRIVATE, mmap.MAP_SHARED):
            raise ValueError(
                "Invalid argument in function set_default_mmap_options, expected mmap.MAP_PRIVATE "
                f"or mmap.MAP_SHARED, but got {flags}")
        self._before = OPTIONS.mmap_flags
        OPTIONS.mmap_flags = flags

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        OPTIONS.mmap_flags = self._before


def get_default_mmap_options() -> int:
    """How ``load(..., mmap=True)`` maps files."""
    return OPTIONS.mmap_flags


class skip_data:
    """Within the block, save and load everything but the bytes of tensors.

    ``save`` leaves room for them, ``load`` leaves the tensors uninitialised.
    """

    def __init__(self, materialize_fake_tensors: bool = False) -> None:
        self.materialize_fake_tensors = materialize_fake_tensors

    def __enter__(self) -> None:
        self._before = OPTIONS.skips_data
        OPTIONS.skips_data = True

    def __exit__(self, *exc: object) -> None:
        OPTIONS.skips_data = self._before


# ---- names that files may use ------------------------------------------------------------------
_safe: Final[dict[str, Any]] = {}
_given: Final[list[Any]] = []


def qualified_name(value: Any) -> str:
    """The name by which a file refers to a class or a function."""
    return f"{value.__module__}.{getattr(value, '__qualname__', value.__name__)}"


def add_safe_globals(safe_globals: Iterable[Callable[..., Any] | tuple[Any, str]]) -> None:
    """Allow files to refer to classes and functions, which loading then makes and calls.

    Args:
        safe_globals: classes and functions, or pairs of one and the name that files use.
    """
    for item in safe_globals:
        value, name = item if isinstance(item, tuple) else (item, None)
        if name is None and callable(value):
            name = qualified_name(value)
        if not callable(value) or not isinstance(name, str):
            raise TypeError(
                f"add_safe_globals() takes classes, functions, or pairs (function, name), not "
                f"{item!r}")
        if name not in _safe:
            _given.append(item)
        _safe[name] = value


def get_safe_globals() -> list[Any]:
    """What was allowed by ``add_safe_globals``."""
    return list(_given)


def clear_safe_globals() -> None:
    """Forget what was allowed by ``add_safe_globals``."""
    _safe.clear()
    _given.clear()


@contextmanager
def safe_globals(safe_globals: Iterable[Any]) -> Iterator[None]:
    """Allow classes and functions within a ``with`` block."""
    before = dict(_safe), list(_given)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        clear_safe_globals()
        _safe.update(before[0])
        _given.extend(before[1])


def find_safe(name: str) -> Any:
    """What the user allowed under a name, None if nothing."""
    found = _safe.get(name)
    if found is None and name.startswith("torch."):  # the same class, written by PyTorch
        found = _safe.get(f"flambeau{name[5:]}")
    return found
