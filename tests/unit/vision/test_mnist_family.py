"""Datasets in the form of MNIST, from small files."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

from flambeau.vision import datasets

pytest.importorskip("PIL.Image")


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_downloading_unpacking_and_reading(tmp_path, name):
    kind = getattr(datasets, name)
    source = tmp_path / "mirror"
    source.mkdir()
    resources = []
    for file, _ in kind.resources:
        shape = (3, 4, 5) if "images" in file else (3,)
        array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
        packed = gzip.compress(header + array.tobytes())
        (source / file).write_bytes(packed)
        resources.append((file, hashlib.md5(packed).hexdigest()))
    small = type(name, (kind,), {"resources": resources, "mirrors": [source.as_uri() + "/"]})
    for train in (True, False):
        data = small(tmp_path, train=train, download=True)
        image, label = data[2]
        assert (len(data), image.size, label) == (3, (5, 4), 2)
        assert np.asarray(image)[0].tolist() == [40, 41, 42, 43, 44]
        assert len(data.classes) == 10
    with pytest.raises(RuntimeError, match="download=True"):
        small(tmp_path / "elsewhere")
