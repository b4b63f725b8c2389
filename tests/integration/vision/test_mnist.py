"""MNIST and FashionMNIST from a local mirror."""

import os
import struct

import pytest

import flambeau as fb
from flambeau.vision.datasets import MNIST, FashionMNIST

pytest.importorskip("PIL.Image")


@pytest.fixture(params=[MNIST, FashionMNIST], ids=["MNIST", "FashionMNIST"])
def local(request, serve_mnist):
    return serve_mnist(request.param)


def test_download_and_read(local, tmp_path, server):
    train = local(tmp_path, download=True)
    assert len(train) == 12
    assert train.data.shape == (12, 28, 28)
    assert train.data.dtype is fb.uint8
    assert train.targets.dtype is fb.int64
    image, label = train[3]
    assert (image.mode, image.size) == ("L", (28, 28))
    assert type(label) is int
    assert label == train.targets[3].item()
    assert list(image.tobytes()) == train.data[3].flatten().tolist()
    assert len(local(tmp_path, train=False)) == 5
    asked = len(server.requests)
    local(tmp_path, download=True)
    assert len(server.requests) == asked == 4


def test_names(local, tmp_path):
    dataset = local(tmp_path, download=True, transform=lambda im: "seen")
    assert dataset[0][0] == "seen"
    assert len(dataset.classes) == len(dataset.class_to_idx) == 10
    assert repr(dataset).splitlines()[:4] == [
        f"Dataset {local.__name__}",
        "    Number of datapoints: 12",
        f"    Root location: {tmp_path}",
        "    Split: Train",
    ]
    assert "Transform: <function" in repr(dataset)
    assert sorted(os.listdir(tmp_path / local.__name__ / "raw"))[0] == "t10k-images-idx3-ubyte"


def test_without_download_the_missing_files_are_named(local, tmp_path):
    with pytest.raises(RuntimeError, match="download=True") as found:
        local(tmp_path)
    assert "train-images-idx3-ubyte" in str(found.value)


def test_a_corrupt_archive(local, tmp_path, server):
    server.files["t10k-labels-idx1-ubyte.gz"] = b"not what was promised"
    with pytest.raises(RuntimeError, match=r"corrupt: expected md5 .* found ") as found:
        local(tmp_path, download=True)
    assert "t10k-labels-idx1-ubyte.gz" in str(found.value)


def test_a_damaged_file(local, tmp_path):
    local(tmp_path, download=True)
    path = tmp_path / local.__name__ / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(RuntimeError, match="train-images-idx3-ubyte is not a valid IDX file"):
        local(tmp_path)


def test_labels_that_do_not_fit(local, tmp_path):
    local(tmp_path, download=True)
    path = tmp_path / local.__name__ / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(struct.pack(">HBBI", 0, 8, 1, 3) + b"\x01\x02\x03")
    with pytest.raises(RuntimeError, match="expected 12 labels, found shape"):
        local(tmp_path)


def test_the_mirrors_are_tried_in_turn(serve_mnist, server, tmp_path):
    local = serve_mnist(MNIST)
    local.mirrors = ["http://127.0.0.1:9/", server.url]
    assert len(local(tmp_path, download=True)) == 12


def test_published_checksums_are_sha256():
    assert [len(checksum) for _, checksum in MNIST.resources] == [64] * 4
    assert all(name.endswith(".gz") for name, _ in MNIST.resources)
