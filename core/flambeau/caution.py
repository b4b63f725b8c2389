"""Warnings that name the line of the user, however many frames of the package lie between."""

from __future__ import annotations

import sys
import warnings
from types import FrameType


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning at the innermost line outside the package.

    Counting frames would not do: a compiled core has fewer.
    """
    level = 2
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("flambeau"):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)
