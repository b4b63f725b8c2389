"""Errors of OpenCL come in the types and words of flambeau."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pyopencl")

from flambeau.backend import BackendError, OutOfMemoryError
from flambeau_opencl.errors import is_out_of_memory, told, translated

NAME = "a device (a platform)"


@pytest.mark.parametrize("code", [-4, -6, -61])
def test_shortages_are_out_of_memory(make_error: Any, code: int) -> None:
    error = translated(make_error(code), NAME, "launch of the kernel 'add'")
    assert type(error) is OutOfMemoryError
    assert "launch of the kernel 'add'" in str(error)


def test_an_error_that_pyopencl_calls_a_shortage_is_one(make_error: Any) -> None:
    assert is_out_of_memory(make_error(-5, "MemoryError"))
    assert not is_out_of_memory(make_error(-5, "RuntimeError"))


@pytest.mark.parametrize("code", [-2, -14, -34, -36, -9999])
def test_a_lost_device_is_told_as_one(make_error: Any, code: int) -> None:
    error = translated(make_error(code), NAME, "execution of earlier commands")
    assert type(error) is BackendError
    assert f"the device {NAME} was lost during execution of earlier commands" in str(error)
    assert "start a new process" in str(error)


def test_other_errors_keep_their_words(make_error: Any) -> None:
    error = translated(make_error(-54), NAME, "launch of the kernel 'add'")
    assert type(error) is BackendError
    for expected in (NAME, "launch of the kernel 'add'", "INVALID_WORK_GROUP_SIZE"):
        assert expected in str(error)


def test_a_block_translates_what_is_raised_in_it(make_error: Any) -> None:
    cause = make_error(-36)
    with pytest.raises(BackendError, match="was lost") as caught, told(NAME, "a copy"):
        raise cause
    assert caught.value.__cause__ is cause
    with pytest.raises(KeyError), told(NAME, "a copy"):
        raise KeyError("not of OpenCL")
