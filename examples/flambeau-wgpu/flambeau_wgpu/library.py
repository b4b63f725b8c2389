"""The WGSL functions that kernels call, and which of them a kernel needs."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"\bwg_\w+")
_DEFINITION: Final = re.compile(r"^fn (wg_\w+)\(.*?^}$", re.MULTILINE | re.DOTALL)


@cache
def functions() -> dict[str, str]:
    """Definitions by name, each after those that it calls."""
    text = files("flambeau_wgpu").joinpath("library.wgsl").read_text("utf-8")
    return {found[1]: found[0] for found in _DEFINITION.finditer(text)}


def needed_by(text: str) -> list[str]:
    """The definitions of the functions that a text calls, and of those that these call."""
    wanted = set(_NAME.findall(text))
    found: list[str] = []
    for name, definition in reversed(functions().items()):
        if name in wanted:
            wanted.update(_NAME.findall(definition))
            found.insert(0, definition)
    return found
