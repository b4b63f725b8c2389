"""Small files in the form of the real datasets."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest


def md5(content):
    return hashlib.md5(content).hexdigest()


def idx(array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


@pytest.fixture
def serve_mnist(server):
    """``serve_mnist(cls)``: a subclass with 12 training and 5 test images on the server."""

    def serve(base):
        rng = np.random.default_rng(0)
        for split, count in (("train", 12), ("t10k", 5)):
            images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            labels = rng.integers(0, 10, count, dtype=np.uint8)
            server.files[f"{split}-images-idx3-ubyte.gz"] = gzip.compress(idx(images))
            server.files[f"{split}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels))
        resources = [(name, md5(server.files[name])) for name, _ in base.resources]
        return type(base.__name__, (base,), {"mirrors": [server.url], "resources": resources})

    return serve


def tar_of(files):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return held.getvalue()


@pytest.fixture
def serve_cifar(server):
    """``serve_cifar(cls)``: a subclass of CIFAR10 or CIFAR100 with small files on the server."""

    def serve(base, per_file=4, extra=None):
        rng = np.random.default_rng(1)
        key = "labels" if base.__name__ == "CIFAR10" else "fine_labels"
        count = 10 if key == "labels" else 100

        def batch():
            labels = rng.integers(0, count, per_file).tolist()
            data = rng.integers(0, 256, (per_file, 3072), dtype=np.uint8)
            return pickle.dumps({"data": data, key: labels}, 2)

        files = {name: batch() for name, _ in (*base.train_list, *base.test_list)}
        names = [f"class {i}" for i in range(count)]
        files[base.meta["filename"]] = pickle.dumps({base.meta["key"]: names}, 2)
        packed = tar_of({f"{base.base_folder}/{k}": v for k, v in files.items()} | (extra or {}))
        server.files[base.filename] = packed
        return type(
            base.__name__,
            (base,),
            {
                "url": server.url + base.filename,
                "tgz_md5": md5(packed),
                "train_list": [[name, md5(files[name])] for name, _ in base.train_list],
                "test_list": [[name, md5(files[name])] for name, _ in base.test_list],
                "meta": base.meta | {"md5": md5(files[base.meta["filename"]])},
            },
        )

    return serve
