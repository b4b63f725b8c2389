"""CIFAR-10 and CIFAR-100 from a local mirror, and the cell of the CIFAR-10 tutorial."""

import os
import pickle

import numpy as np
import pytest

import flambeau as fb
from flambeau import vision
from flambeau.data import DataLoader
from flambeau.vision import transforms
from flambeau.vision.datasets import CIFAR10, CIFAR100

pytest.importorskip("PIL.Image")


@pytest.fixture(params=[CIFAR10, CIFAR100], ids=["CIFAR10", "CIFAR100"])
def local(request, serve_cifar):
    return serve_cifar(request.param)


def test_download_and_read(local, tmp_path, server):
    train = local(tmp_path, download=True)
    per_file, files = 4, len(local.train_list)
    assert len(train) == per_file * files
    assert train.data.shape == (per_file * files, 32, 32, 3)
    image, label = train[2]
    assert (image.mode, image.size) == ("RGB", (32, 32))
    np.testing.assert_array_equal(np.asarray(image), train.data[2])
    assert label == train.targets[2]
    assert len(train.classes) == (10 if local.__name__ == "CIFAR10" else 100)
    assert train.class_to_idx["class 3"] == 3
    assert len(local(tmp_path, train=False)) == per_file
    local(tmp_path, download=True)
    assert len(server.requests) == 1


def test_pixels_are_planes_in_the_file(serve_cifar, tmp_path):
    local = serve_cifar(CIFAR10)
    train = local(tmp_path, download=True)
    raw = pickle.loads((tmp_path / local.base_folder / "data_batch_1").read_bytes())["data"]
    assert train.data[0, 0, 1].tolist() == raw[0].reshape(3, 32, 32)[:, 0, 1].tolist()


def test_without_download(local, tmp_path):
    with pytest.raises(RuntimeError, match=r"Dataset not found or corrupted.*download=True") as f:
        local(tmp_path)
    assert local.train_list[0][0] in str(f.value)


def test_a_damaged_file_is_named_and_mended(local, tmp_path):
    local(tmp_path, download=True)
    path = tmp_path / local.base_folder / local.train_list[0][0]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RuntimeError, match="with another checksum") as found:
        local(tmp_path)
    assert str(path) in str(found.value)
    assert len(local(tmp_path, download=True)) == 4 * len(local.train_list)


def test_a_corrupt_archive(local, tmp_path, server):
    server.files[local.filename] = server.files[local.filename][:-50]
    with pytest.raises(RuntimeError) as found:
        local(tmp_path, download=True)
    for words in (local.filename, f"expected md5 {local.tgz_md5}", "found", "mirror"):
        assert words in str(found.value)
    assert os.listdir(tmp_path) == []


def test_an_archive_that_writes_elsewhere_is_refused(serve_cifar, tmp_path):
    local = serve_cifar(CIFAR10, extra={"../../evil": b"x"})
    with pytest.raises(RuntimeError, match="outside"):
        local(tmp_path / "a" / "data", download=True)
    assert not (tmp_path / "evil").exists()


class Runs:
    def __reduce__(self):
        return os.system, ("echo hacked",)


def test_a_batch_that_runs_something_is_refused(serve_cifar, tmp_path, capfd):
    local = serve_cifar(CIFAR10)
    local(tmp_path, download=True)
    path = tmp_path / local.base_folder / "data_batch_3"
    path.write_bytes(pickle.dumps({"data": Runs(), "labels": []}))
    local.train_list = [[name, None] for name, _ in local.train_list]
    with pytest.raises(RuntimeError, match=r"data_batch_3 was refused.*system"):
        local(tmp_path)
    assert "hacked" not in capfd.readouterr().out


def test_a_batch_without_images_is_refused(serve_cifar, tmp_path):
    local = serve_cifar(CIFAR10)
    local(tmp_path, download=True)
    path = tmp_path / local.base_folder / "data_batch_1"
    path.write_bytes(pickle.dumps({"data": np.zeros((3, 7), np.uint8), "labels": [1, 2]}, 2))
    local.train_list = [[name, None] for name, _ in local.train_list]
    with pytest.raises(RuntimeError, match=r"data_batch_1: expected labels.*3072"):
        local(tmp_path)


def test_the_cell_of_the_tutorial(serve_cifar, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(vision.datasets, "CIFAR10", serve_cifar(CIFAR10))
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))]
    )
    batch_size = 4
    trainset = vision.datasets.CIFAR10(
        root="./data", train=True, download=True, transform=transform
    )
    trainloader = DataLoader(trainset, batch_size=batch_size, shuffle=True, num_workers=2)
    seen = 0
    for images, labels in trainloader:
        assert images.shape == (4, 3, 32, 32)
        assert images.dtype is fb.float32
        assert labels.shape == (4,)
        assert labels.dtype is fb.int64
        assert images.abs().max().item() <= 1.0
        seen += 1
    assert seen == len(trainloader) == 5
    grid = vision.utils.make_grid(images)
    assert grid.shape == (3, 36, 138)
