"""Which classes become C structures, and where their fields are meant.

Types are not inferred: a field's name, or that of the variable in front of it, tells the class.
Casts are checked where a value comes from outside, so a wrong object raises a TypeError, as a
missing attribute would raise an AttributeError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Structure:
    """A class whose fields are kept in a C structure."""

    name: str
    module: str
    fields: tuple[str, ...]
    has_weak_references: bool = False
    variables: tuple[str, ...] = ()
    """Variables that hold instances; None: the names of the fields tell."""
    owners: tuple[str, ...] = ()
    """Fields of other structures that hold instances."""


TENSOR: Final = Structure(
    "TensorFields", "fields",
    ("_base", "_extra", "_fn", "_grad", "_kind", "_layout", "_native", "_requires_grad", "_seen",
     "_storage"))
NODE: Final = Structure(
    "NodeFields", "fields", ("edges", "hooks", "kind", "saved", "shape", "versions"),
    variables=("node", "node_", "edge"))
STORAGE: Final = Structure(
    "Storage", "storage", ("backend", "buffer", "device", "nbytes", "version"),
    has_weak_references=True, variables=("storage",), owners=("_storage",))
LAYOUT: Final = Structure(
    "Layout", "layout",
    ("is_contiguous", "memo", "ndim", "numel", "offset", "shape", "strides"),
    variables=("held", "layout", "found"), owners=("_layout",))
STRUCTURES: Final = (TENSOR, NODE, STORAGE, LAYOUT)
FRESH: Final = ("out_", "node_", "view")
"""Variables that hold what has just been made: their casts need no check."""
