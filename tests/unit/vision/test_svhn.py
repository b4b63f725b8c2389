"""SVHN, from a small file."""

import hashlib

import numpy as np
import pytest

from flambeau.vision.datasets import SVHN

pytest.importorskip("PIL.Image")


def test_downloading_and_reading(tmp_path):
    matlab = pytest.importorskip("scipy.io")
    images = np.random.default_rng(0).integers(0, 256, (4, 5, 3, 2), dtype=np.uint8)
    source = tmp_path / "small.mat"
    matlab.savemat(source, {"X": images, "y": np.array([[10], [3]], np.uint8)})
    checksum = hashlib.md5(source.read_bytes()).hexdigest()

    class Small(SVHN):
        split_list = {"test": [source.as_uri(), "test_32x32.mat", checksum]}  # noqa: RUF012

    with pytest.raises(RuntimeError, match=r"download=True.*test_32x32\.mat"):
        Small(tmp_path / "root", "test")
    data = Small(tmp_path / "root", "test", download=True)
    assert (len(data), data.data.shape, data.labels.tolist()) == (2, (2, 3, 4, 5), [0, 3])
    image, label = data[1]
    assert label == 3
    np.testing.assert_array_equal(np.asarray(image), images[..., 1])
    assert "Split: Test" in repr(data)
    with pytest.raises(ValueError, match="'val' is none of"):
        SVHN(tmp_path, "val")
