"""Threads within an op."""

import pytest

import flambeau as fb


def test_set_and_get() -> None:
    before = fb.get_num_threads()
    try:
        fb.set_num_threads(1)
        assert fb.get_num_threads() == 1
    finally:
        fb.set_num_threads(before)
    assert fb.get_num_threads() == before
    with pytest.raises(RuntimeError, match="positive integer, but got 0"):
        fb.set_num_threads(0)
