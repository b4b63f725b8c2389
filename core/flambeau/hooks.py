"""Handles of registered hooks."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, MutableMapping
from typing import Any, Final

_ids: Final = itertools.count()


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes it out again; a context manager too."""

    def __init__(self, table: MutableMapping[int, Callable[..., Any]], *others: Any) -> None:
        self.id = next(_ids)
        self._tables = [_reference(table), *map(_reference, others)]

    def remove(self) -> None:
        """Take the hook out; harmless the second time."""
        for reference in self._tables:
            table = reference()
            if table is not None:
                table.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def _reference(table: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(table)
    except TypeError:  # a plain dict: it cannot be referred to weakly
        return lambda: table
