"""Dtypes that are held and converted, but not computed with: 8-bit floats, complex halves.

PyTorch has few operators for them and says so for the others.  (It multiplies 8-bit floats; that
is left out, for no library on the host rounds products as it does.)  Whether a call is about one
is only looked at once such a tensor has been made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flambeau import dtypes

if TYPE_CHECKING:
    from flambeau.registry import Op

_NAMES: Final = {
    dtypes.complex32: "ComplexHalf",
    **{d: d.name.capitalize() for d in dtypes.OPTIONAL if d.is_floating_point},
}
_FOR_ALL: Final = frozenset({
    "copy", "fill", "select_where", "eq", "gather", "scatter_elements",
})
"""Primitives that PyTorch has for every one of them, and what indexing is made of."""
_FOR_COMPLEX: Final = frozenset({"add", "sub", "mul", "neg", "abs"})


class Limited:
    """Whether a tensor of such a dtype has been made in this process."""

    seen: bool = False


def is_limited(what: dtypes.dtype) -> bool:
    """Whether a dtype is one of these."""
    return what in _NAMES


def check(op: Op, tensors: list[Any]) -> bool:
    """Whether any tensor is of such a dtype: then only decompositions and a few kernels are run.

    Raises:
        NotImplementedError: for a primitive that PyTorch does not have for it.
    """
    for t in tensors:
        name = _NAMES.get(t._kind.dtype)
        if name is None:
            continue
        if op.kind == "primitive" and op.name not in _FOR_ALL and not (
                t.dtype is dtypes.complex32 and op.name in _FOR_COMPLEX):
            raise NotImplementedError(
                f'"{op.name}" not implemented for \'{name}\'; convert with .to(dtype) first')
        return True
    return False
