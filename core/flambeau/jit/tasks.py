"""``fork`` and ``wait`` as eager code has them: the task is done when ``fork`` returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.futures import Future


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
    """Call a function or module now; its result, in a future.

    What it raises is raised here.
    """
    future: Future[Any] = Future()
    future.set_result(func(*args, **kwargs))
    return future


def wait(future: Future[Any]) -> Any:
    """The result of a task.

    Raises:
        TypeError: for what is no future.
    """
    if not isinstance(future, Future):
        raise TypeError(f"wait(): argument 'future' must be Future, not {type(future).__name__}")
    return future.wait()
