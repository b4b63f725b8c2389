"""The functions behind the modules, conventionally imported as ``F``.

Most are registered operators of the namespace ``nn.functional``; what has another signature here
than as an operator, or is none, stands in the files of this package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flambeau.registry import OPS as _OPS
from flambeau.tensor import Tensor

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Tensor]: ...


for _op in _OPS.values():
    if "nn.functional" in _op.namespaces:
        globals()[_op.name] = _op.function
        if _op.inplace_function is not None:
            globals()[f"{_op.name}_"] = _op.inplace_function

from flambeau.nn.functional.activation import *  # noqa: E402, F403  listed there
from flambeau.nn.functional.attention import _canonical_mask as _canonical_mask  # noqa: E402
from flambeau.nn.functional.attention import (  # noqa: E402
    multi_head_attention_forward as multi_head_attention_forward,
)
from flambeau.nn.functional.loss import *  # noqa: E402, F403  listed there
from flambeau.nn.functional.resize import *  # noqa: E402, F403  listed there
