"""Errors that cross processes."""

import pickle
import signal

import pytest

from flambeau.data.failure import (
    RemoteError,
    describe_exit,
    describe_indices,
    hint_for_exit,
)


class NeedsTwo(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


def caught(error):
    try:
        raise error
    except Exception as held:
        return pickle.loads(
            pickle.dumps(RemoteError.caught(held, "in DataLoader worker process 0"))
        )


def test_the_same_type_with_the_remote_traceback():
    with pytest.raises(ValueError, match="odd number") as found:
        caught(ValueError("odd number")).reraise()
    text = str(found.value)
    assert text.startswith("Caught ValueError in DataLoader worker process 0.\nOriginal Traceback")
    assert __file__ in text


def test_key_errors_stay_readable():
    with pytest.raises(KeyError) as found:
        caught(KeyError("colour")).reraise()
    assert "\nOriginal Traceback" in str(found.value)
    assert "\\n" not in str(found.value)


def test_a_type_that_needs_more_arguments_becomes_a_runtime_error():
    with pytest.raises(RuntimeError, match="Caught NeedsTwo"):
        caught(NeedsTwo(1, 2)).reraise()


def test_a_type_that_cannot_be_sent_becomes_its_base():
    class Local(LookupError):
        pass

    with pytest.raises(LookupError, match="Caught LookupError") as found:
        caught(Local("here")).reraise()
    assert type(found.value) is LookupError
    assert "Local: here" in str(found.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "exited with code 3"),
        (0, "exited with code 0"),
        (-signal.SIGKILL, "was killed by SIGKILL (9)"),
        (-200, "was killed by signal (200)"),
        (None, "closed its connection"),
    ],
)
def test_exit_codes_in_words(code, words):
    assert describe_exit(code) == words


def test_hints():
    assert "memory" in hint_for_exit(-signal.SIGKILL)
    assert "num_workers=0" in hint_for_exit(-signal.SIGSEGV)
    assert hint_for_exit(1) == ""


def test_long_index_lists_are_shortened():
    assert describe_indices([1, 2]) == "[1, 2]"
    assert describe_indices("key") == "key"
    assert describe_indices(list(range(40))).endswith("15, ... 40 in all]")
