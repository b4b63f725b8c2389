"""STL-10, from a small archive."""

import hashlib
import io
import tarfile

import numpy as np
import pytest

from flambeau.vision.datasets import STL10

pytest.importorskip("PIL.Image")


def test_downloading_and_reading(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 96, 96), dtype=np.uint8)
    files = {
        "train_X.bin": images[:2].tobytes(),
        "train_y.bin": bytes([10, 3]),
        "unlabeled_X.bin": images[2:3].tobytes(),
        "test_X.bin": images[3:].tobytes(),
        "test_y.bin": bytes([1]),
        "class_names.txt": b"airplane\nbird\n",
        "fold_indices.txt": b"1 \n0 1 \n",
    }
    packed = tmp_path / "small.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"stl10_binary/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

    def listed(*names):
        return [[name, hashlib.md5(files[name]).hexdigest()] for name in names]

    class Small(STL10):
        url = packed.as_uri()
        tgz_md5 = hashlib.md5(packed.read_bytes()).hexdigest()
        train_list = listed("train_X.bin", "train_y.bin", "unlabeled_X.bin")
        test_list = listed("test_X.bin", "test_y.bin")

    root = tmp_path / "root"
    with pytest.raises(RuntimeError, match=r"download=True.*train_X\.bin"):
        Small(root)
    data = Small(root, download=True)
    assert data.labels.tolist() == [9, 2]
    assert data.classes == ["airplane", "bird"]
    image, label = data[1]
    assert label == 2
    np.testing.assert_array_equal(np.asarray(image), images[1].transpose(2, 1, 0))
    assert Small(root, "train+unlabeled").labels.tolist() == [9, 2, -1]
    assert Small(root, "unlabeled").labels.tolist() == [-1]
    assert Small(root, "test").labels.tolist() == [0]
    assert Small(root, folds=0).labels.tolist() == [2]
    with pytest.raises(ValueError, match="'val' is none of"):
        Small(root, "val")
    with pytest.raises(ValueError, match="0 to 9"):
        Small(root, folds=10)
