"""``torch.compiler``: nothing is compiled, so functions stay as they are."""

from __future__ import annotations

from typing import Any

from flambeau.as_torch.torch import compile as compile


def is_compiling() -> bool:
    """False."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def disable(fn: Any = None, recursive: bool = True, **options: Any) -> Any:
    """The function as it is."""
    return (lambda function: function) if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """The function as it is."""
    return fn


assume_constant_result = allow_in_graph


def reset() -> None:
    """Nothing was kept."""


def cudagraph_mark_step_begin() -> None:
    """Nothing is recorded."""
