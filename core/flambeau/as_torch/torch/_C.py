# ruff: noqa: N999  PyTorch's name
"""The few names of ``torch._C`` that libraries touch when they are imported or run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from flambeau import Generator as Generator
from flambeau import Tensor as Tensor
from flambeau.linalg import LinAlgError
from flambeau.ops.memory import parse_to
from flambeau.overrides import disabled

_LinAlgError = LinAlgError
_TensorMeta = type(Tensor)
_disabled_torch_function_impl = disabled
_GLIBCXX_USE_CXX11_ABI = True


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Device, dtype, non_blocking and memory format of the arguments of ``to``."""
    return parse_to(args, kwargs)


_nn = SimpleNamespace(_parse_to=_parse_to)


def _log_api_usage_once(key: str) -> None:
    """Nothing is logged."""


def _get_tracing_state() -> None:
    """None: nothing is traced."""


def _is_tracing() -> bool:
    return False
