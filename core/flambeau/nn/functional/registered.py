"""Registered operators by name, whatever namespace they are in.

``registered.relu`` is the operator, ``registered.relu_`` its in-place form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flambeau.registry import OPS
from flambeau.tensor import Tensor

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Tensor]: ...

else:

    def __getattr__(name: str) -> Callable[..., Tensor]:
        op = OPS.get(name)
        found = None if op is None else op.function
        if found is None and name.endswith("_"):
            op = OPS.get(name[:-1])
            found = None if op is None else op.inplace_function
        if found is None:
            raise AttributeError(f"there is no operator {name!r}")
        globals()[name] = found  # the next look does not come here
        return found
