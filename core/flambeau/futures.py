"""Results that may still be on their way (the names of ``torch.futures``)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")


class Future(Generic[T]):
    """A result that some thread will set, once.

    Args:
        devices: accepted for PyTorch's sake.
    """

    def __init__(self, *, devices: Any = None) -> None:
        self._done = threading.Condition()
        self._is_done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Any], Any]] = []

    def done(self) -> bool:
        """Whether there is a result, or an exception."""
        return self._is_done

    def wait(self) -> T:
        """The result, as soon as it is there; an exception is raised."""
        with self._done:
            self._done.wait_for(lambda: self._is_done)
        return self.value()

    def value(self) -> T:
        """The result, which must be there; an exception is raised.

        Raises:
            RuntimeError: if it is not there.
        """
        if not self._is_done:
            raise RuntimeError("Future is not completed: call wait()")
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]

    def set_result(self, result: T) -> None:
        """Set the result, and call what waits for it.

        Raises:
            RuntimeError: if there is one already.
        """
        self._finish(result, None)

    def set_exception(self, result: BaseException) -> None:
        """Set an exception in place of a result.

        Raises:
            RuntimeError: if there is a result already.
            AssertionError: for what is no exception.
        """
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._finish(None, result)

    def _finish(self, value: Any, error: BaseException | None) -> None:
        with self._done:
            if self._is_done:
                raise RuntimeError("Future can only be marked completed once")
            self._value, self._error, self._is_done = value, error, True
            self._done.notify_all()
            waiting, self._callbacks = self._callbacks, []
        for callback in waiting:
            callback(self)

    def add_done_callback(self, callback: Callable[[Future[T]], None]) -> None:
        """Call a function with this future when it is done; at once if it is."""
        with self._done:
            if not self._is_done:
                self._callbacks.append(callback)
                return
        callback(self)

    def then(self, callback: Callable[[Future[T]], S]) -> Future[S]:
        """The future result of a function that is called with this future when it is done."""
        following: Future[S] = Future()

        def run(done: Future[T]) -> None:
            try:
                result = callback(done)
            except Exception as error:
                following.set_exception(error)
            else:
                following.set_result(result)

        self.add_done_callback(run)
        return following


def collect_all(futures: Sequence[Future[Any]]) -> Future[list[Future[Any]]]:
    """The future that is done, with all of them as its result, when all of them are done."""
    result: Future[list[Future[Any]]] = Future()
    futures = list(futures)
    left = [len(futures)]
    lock = threading.Lock()

    def one_less(_: Future[Any]) -> None:
        with lock:
            left[0] -= 1
            is_last = left[0] == 0
        if is_last:
            result.set_result(futures)

    if not futures:
        result.set_result(futures)
    for future in futures:
        future.add_done_callback(one_less)
    return result


def wait_all(futures: Sequence[Future[Any]]) -> list[Any]:
    """The results of all of them; the first exception is raised."""
    return [future.wait() for future in collect_all(futures).wait()]
