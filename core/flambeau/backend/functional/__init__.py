"""Backends over array libraries without mutation: MLX, JAX and their like.

flambeau's memory is mutable and has strided views; such a library only returns new arrays.  The
adapter keeps the one in terms of the other: a buffer is a variable that holds an array, reading a
view is slicing, writing to a view is a functional update of the whole.

An author writes an :class:`ArrayLibrary` (a dozen one-line methods), a :class:`FunctionTable` of
plain functions on arrays, and a :class:`FunctionalBackend` that says what the device is.
``docs/backends-functional.md`` goes through one.
"""

from flambeau.backend.functional.device import FunctionalBackend
from flambeau.backend.functional.library import Array, ArrayLibrary, Number
from flambeau.backend.functional.memory import Buffer, View
from flambeau.backend.functional.pending import Runtime, within
from flambeau.backend.functional.table import FunctionTable

__all__ = [
    "Array",
    "ArrayLibrary",
    "Buffer",
    "FunctionTable",
    "FunctionalBackend",
    "Number",
    "Runtime",
    "View",
    "within",
]
