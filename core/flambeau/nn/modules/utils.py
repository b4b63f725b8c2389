"""Sizes given as one number or one per dimension."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable
from itertools import repeat
from typing import Any


def _ntuple(n: int) -> Callable[[Any], tuple[Any, ...]]:
    def parse(x: Any) -> tuple[Any, ...]:
        return tuple(x) if isinstance(x, collections.abc.Iterable) else tuple(repeat(x, n))

    parse.__name__ = f"_ntuple_{n}"
    return parse


_single, _pair, _triple, _quadruple = _ntuple(1), _ntuple(2), _ntuple(3), _ntuple(4)


def _reverse_repeat_tuple(t: tuple[int, ...], n: int) -> tuple[int, ...]:
    """From (a, b) to (b, b, a, a): padding is listed from the last dimension on, both ends."""
    return tuple(x for x in reversed(t) for _ in range(n))


def consume_prefix_in_state_dict_if_present(state_dict: dict[str, Any], prefix: str) -> None:
    """Strip a prefix from all keys that have it, in place, keeping the order of the keys."""
    items = [(k.removeprefix(prefix), v) for k, v in state_dict.items()]
    state_dict.clear()
    state_dict.update(items)
    metadata = getattr(state_dict, "_metadata", None)
    if metadata is not None:
        bare = prefix.rstrip(".")
        for key in list(metadata):
            if key in ("", bare):
                continue
            metadata[key.removeprefix(prefix)] = metadata.pop(key)
        if bare in metadata:
            metadata[""] = metadata.pop(bare)
