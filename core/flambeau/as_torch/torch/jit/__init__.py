"""Private names of ``torch.jit`` that libraries use; nothing is compiled."""

from __future__ import annotations

from typing import Any


def _overload(func: Any) -> Any:
    """The function as it is."""
    return func


_overload_method = _overload
