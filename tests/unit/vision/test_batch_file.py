"""CIFAR's pickles, read without running anything."""

import io
import os
import pickle

import numpy as np
import pytest

from flambeau.vision.datasets.batch_file import read_batch_file

# As Python 2 wrote them: text is bytes, NumPy's functions have their old names.
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x03K\x07eU\x04dataq\x04"
    b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07"
    b"(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87Rq\x09"
    b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x00\x01\x02\xfd\xfe\xfftbu."
)


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "data_batch_1"
        path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, 2))
        return path

    return write


def test_a_batch_of_python_2(written):
    batch = read_batch_file(written(PYTHON_2))
    assert batch["labels"] == [3, 7]
    assert batch["data"].dtype == np.uint8
    assert batch["data"].tolist() == [[0, 1, 2], [253, 254, 255]]


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_batch_of_this_python(written, order):
    images = np.asarray(np.arange(12, dtype=np.uint8).reshape(3, 4), order=order)
    batch = read_batch_file(written({"data": images, "labels": [1, 2, 3], "names": ["a"]}))
    np.testing.assert_array_equal(batch["data"], images)
    assert batch["names"] == ["a"]


class Runs:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"data": Runs(os.system, "echo hacked")}, "system"),
        ({"data": Runs(eval, "1")}, "eval"),
        ({"data": Runs(io.open, "/etc/passwd")}, "open"),
        ({"data": Runs(getattr, "a", "b")}, "getattr"),
        ({"data": np.zeros(3)}, "f8"),
        ({"data": np.array([None])}, "O8"),
        ([1, 2], "list, not a dict"),
        (PYTHON_2[:-40], "data_batch_1"),
        (PYTHON_2.replace(b"K\x02K\x03\x86c", b"K\x02K\x7f\x86c"), "reshape"),
        (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.", "zip"),
        (b"", "data_batch_1"),
    ],
)
def test_what_is_refused(written, content, words, capfd):
    with pytest.raises(RuntimeError, match="was refused as a batch file") as found:
        read_batch_file(written(content))
    assert words in str(found.value)
    assert "download=True" in str(found.value)
    assert "hacked" not in capfd.readouterr().out


def test_a_shape_cannot_ask_for_memory(written):
    huge = PYTHON_2.replace(b"K\x00\x85U\x01b", b"\x8a\x06\x00\x00\x00\x00\x00\x10\x85U\x01b")
    assert read_batch_file(written(huge))["data"].shape == (2, 3)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_batch_file(tmp_path / "none")
