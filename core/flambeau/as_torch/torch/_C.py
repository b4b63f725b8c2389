# ruff: noqa: N999  PyTorch's name
"""The few names of ``torch._C`` that libraries touch when they are imported or run."""

from flambeau import Generator as Generator
from flambeau import Tensor as Tensor
from flambeau.linalg import LinAlgError
from flambeau.overrides import disabled

_LinAlgError = LinAlgError
_TensorMeta = type(Tensor)
_disabled_torch_function_impl = disabled
_GLIBCXX_USE_CXX11_ABI = True


def _log_api_usage_once(key: str) -> None:
    """Nothing is logged."""


def _get_tracing_state() -> None:
    """None: nothing is traced."""


def _is_tracing() -> bool:
    return False
