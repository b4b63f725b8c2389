"""What goes wrong with files."""

from __future__ import annotations

import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final


class CheckpointError(pickle.UnpicklingError, RuntimeError):
    """A file is no checkpoint, is damaged, or holds what may not be loaded from it.

    The one class for every malformed file, whatever is wrong with it.
    """


class OfTheUser(Exception):
    """Carries an exception out of a function that the user gave, past :func:`malformed`."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_SYMPTOMS: Final = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, NotImplementedError,
    RecursionError, TypeError, ValueError, pickle.PickleError, struct.error, zipfile.BadZipFile,
    zlib.error,
)
"""What reading damaged bytes raises: ``UnicodeError`` and ``OverflowError`` are among them."""


@contextmanager
def malformed(what: str) -> Iterator[None]:
    """Turn the symptoms of a damaged file into :class:`CheckpointError`.

    Errors of the system (no such file, no memory) and those of the user's functions go through.
    """
    try:
        yield
    except CheckpointError as error:
        error.args = (f"{what}: {error}",)
        raise
    except OfTheUser as carried:
        raise carried.error from None
    except _SYMPTOMS as error:
        words = str(error) or "the file ends too early"
        raise CheckpointError(f"{what}: {type(error).__name__}: {words}") from error


def call_user(function: Callable[..., Any], *args: Any) -> Any:
    """Call what the user gave; its exceptions stay what they are."""
    try:
        return function(*args)
    except Exception as error:
        raise OfTheUser(error) from error
