"""Tuples with named items, as ops with several results return them."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any, ClassVar


class ReturnType(tuple[Any, ...]):
    """A tuple whose items have names; made from one sequence of all items."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, items: Iterable[Any]) -> ReturnType:
        """Name the items of a sequence."""
        self = super().__new__(cls, items)
        if len(self) != len(cls._fields):
            raise TypeError(
                f"{cls.__module__}.{cls.__name__}() takes a {len(cls._fields)}-sequence "
                f"({len(self)}-sequence given)"
            )
        return self

    def _replace(self, **items: Any) -> ReturnType:
        """A copy with some items exchanged."""
        given = zip(self._fields, self, strict=True)
        return type(self)(items.get(name, item) for name, item in given)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (tuple(self),))

    def __repr__(self) -> str:
        items = ",\n".join(f"{n}={item!r}" for n, item in zip(self._fields, self, strict=True))
        return f"{type(self).__module__}.{type(self).__name__}(\n{items})"


def _return_type(name: str, *fields: str) -> type[ReturnType]:
    places = {field: property(itemgetter(i), doc=f"Item {i}.") for i, field in enumerate(fields)}
    members = {"__slots__": (), "__module__": __name__, "_fields": fields, **places}
    return type(name, (ReturnType,), members)


max, min, sort, topk, kthvalue, median, nanmedian, mode, cummax, cummin = (
    _return_type(name, "values", "indices")
    for name in ("max", "min", "sort", "topk", "kthvalue", "median", "nanmedian", "mode",
                 "cummax", "cummin")
)
aminmax = _return_type("aminmax", "min", "max")
triangular_solve = _return_type("triangular_solve", "solution", "cloned_coefficient")
slogdet = _return_type("slogdet", "sign", "logabsdet")
geqrf = _return_type("geqrf", "a", "tau")
qr = _return_type("qr", "Q", "R")
svd = _return_type("svd", "U", "S", "V")
lu_with_info = _return_type("_lu_with_info", "LU", "pivots", "info")
lu_unpack = _return_type("lu_unpack", "P", "L", "U")
linalg_cholesky_ex = _return_type("linalg_cholesky_ex", "L", "info")
linalg_eig = _return_type("linalg_eig", "eigenvalues", "eigenvectors")
linalg_eigh = _return_type("linalg_eigh", "eigenvalues", "eigenvectors")
linalg_inv_ex = _return_type("linalg_inv_ex", "inverse", "info")
linalg_ldl_factor = _return_type("linalg_ldl_factor", "LD", "pivots")
linalg_ldl_factor_ex = _return_type("linalg_ldl_factor_ex", "LD", "pivots", "info")
linalg_lstsq = _return_type("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
linalg_lu = _return_type("linalg_lu", "P", "L", "U")
linalg_lu_factor = _return_type("linalg_lu_factor", "LU", "pivots")
linalg_lu_factor_ex = _return_type("linalg_lu_factor_ex", "LU", "pivots", "info")
linalg_qr = _return_type("linalg_qr", "Q", "R")
linalg_solve_ex = _return_type("linalg_solve_ex", "result", "info")
linalg_svd = _return_type("linalg_svd", "U", "S", "Vh")
frexp = _return_type("frexp", "mantissa", "exponent")
histogram = _return_type("histogram", "hist", "bin_edges")
histogramdd = _return_type("histogramdd", "hist", "bin_edges")
