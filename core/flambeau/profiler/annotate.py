"""Names for parts of a program."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flambeau.profiler.events import FunctionEvent
from flambeau.profiler.recorder import Recorder, current

__all__ = ["record_function"]


class record_function:
    """Gives a part of the program a name among the events; context or decorator.

    Does nothing while no profiler is on in the thread.

    Args:
        name: of the event.
        args: accepted: a text that PyTorch's traces show.
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args
        self._running: list[tuple[Recorder, FunctionEvent] | None] = []

    def __enter__(self) -> record_function:
        recorder = current()
        if recorder is None:
            self._running.append(None)
            return self
        event = recorder.begin(self.name)
        event.is_user_annotation = True
        self._running.append((recorder, event))
        return self

    def __exit__(self, *exc: object) -> None:
        running = self._running.pop()
        if running is not None:
            recorder, event = running
            recorder.end(event)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its calls named."""

        @functools.wraps(function)
        def named(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return named
