"""For each view op a form that copies: ``expand_copy``, ``transpose_copy``..."""

from __future__ import annotations

from typing import Any, Final

from flambeau.ops import join, shape
from flambeau.ops.memory import clone
from flambeau.registry import Op, OpFunction, composite
from flambeau.tensor import Tensor

_VIEWS: Final[tuple[OpFunction, ...]] = (
    join.split, join.unbind, shape.alias, shape.as_strided_view, shape.diagonal, shape.expand,
    shape.narrow, shape.permute, shape.select, shape.slice_dim, shape.squeeze, shape.t,
    shape.transpose, shape.unfold_dim, shape.unsqueeze, shape.view_shape,
)
_NAMES: Final = {
    "as_strided_view": "as_strided_copy", "slice_dim": "slice_copy", "unfold_dim": "unfold_copy"}


def _copied(result: Any) -> Any:
    return clone(result) if isinstance(result, Tensor) else tuple(map(clone, result))


def _register(view: Op) -> None:
    name = _NAMES.get(view.name, f"{view.name}_copy")

    def copying(*args: Any) -> Any:
        return _copied(view.function(*args))

    copying.__doc__ = f"{view.doc.rstrip('.')}, as a copy."
    copying.__module__ = __name__
    composite(
        view.schema.text.replace(view.name, name, 1).replace("...", ""), dtypes=view.dtypes,
        samples=view.samples, errors=view.errors, method=view.name == "narrow",
    )(copying)


for _view in _VIEWS:
    _register(_view.op)  # type: ignore[attr-defined]
