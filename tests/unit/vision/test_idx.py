"""The IDX format."""

import struct

import numpy as np
import pytest

from flambeau.vision.datasets.idx import read_idx


def idx(code, array):
    return (
        struct.pack(">HBB", 0, code, array.ndim)
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")],
)
def test_every_element_type(tmp_path, code, dtype):
    array = np.arange(12).reshape(2, 3, 2).astype(dtype)
    (tmp_path / "x").write_bytes(idx(code, array))
    out = read_idx(tmp_path / "x")
    np.testing.assert_array_equal(out, array)
    assert out.dtype.isnative
    assert out.flags.writeable


GOOD = idx(8, np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "header"),
        (GOOD[:6], "header"),
        (b"\x1f\x8b" + GOOD[2:], "header"),
        (GOOD[:2] + b"\x07" + GOOD[3:], "header"),
        (GOOD[:-1], "18 bytes, not 17"),
        (GOOD + b"\x00", "18 bytes, not 19"),
    ],
)
def test_damaged_files_are_named(tmp_path, content, words):
    path = tmp_path / "train-labels"
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match=rf"train-labels is not a valid IDX.*{words}"):
        read_idx(path)
