"""The four classes of element types that a formula tells apart."""

from __future__ import annotations

import enum


class Category(enum.IntEnum):
    """The class of a value's type, ordered as promotion goes.

    The numbers are those of :attr:`flambeau.dtype.category`: ``Category(some_dtype.category)``.
    How wide a value is belongs to the kernel, not to the formula.
    """

    BOOL = 0
    INTEGER = 1
    FLOATING = 2
    COMPLEX = 3

    def __str__(self) -> str:
        return self.name.lower()
