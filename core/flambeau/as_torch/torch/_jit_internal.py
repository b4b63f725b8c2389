"""Private names of ``torch._jit_internal`` that libraries use; nothing is compiled."""

from __future__ import annotations

from typing import Any

from flambeau.jit import export as export
from flambeau.jit import ignore as ignore
from flambeau.jit import unused as unused


def _copy_to_script_wrapper(fn: Any) -> Any:
    """The function as it is."""
    return fn


def is_scripting() -> bool:
    """False."""
    return False
