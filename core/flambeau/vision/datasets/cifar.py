"""CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flambeau.download import fetch, is_intact
from flambeau.vision.archive import extract_tar
from flambeau.vision.datasets.batch_file import read_batch_file
from flambeau.vision.datasets.vision import Transform, VisionDataset, split_name
from flambeau.vision.pillow import pillow

_SHAPE = (3, 32, 32)


class CIFAR10(VisionDataset):
    """50 000 and 10 000 colour images of 32 x 32 in 10 classes (Krizhevsky, 2009).

    Samples are a Pillow image of mode ``RGB`` and an ``int``; ``data`` (a uint8 NumPy array,
    N x 32 x 32 x 3) and ``targets`` (a list) hold all of them.

    Args:
        root: folder that has or gets ``cifar-10-batches-py``.
        train: the 50 000 or the 10 000.
        transform: applied to the image.
        target_transform: applied to the label.
        download: fetch the archive if files are missing or damaged.

    Raises:
        RuntimeError: files are missing or damaged; the message names them.
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5: str | None = "c58f30108f718f92721af3b95e74349a"
    train_list: ClassVar[list[list[Any]]] = [
        ["data_batch_1", "c99cafc152244af753f735de768cd75f"],
        ["data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"],
        ["data_batch_3", "54ebc095f3ab1f0389bbae665268c751"],
        ["data_batch_4", "634d18415352ddfa80567beed471001a"],
        ["data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"],
    ]
    test_list: ClassVar[list[list[Any]]] = [["test_batch", "40351d587109b95175f43aff81a1287e"]]
    meta: ClassVar[dict[str, Any]] = {
        "filename": "batches.meta",
        "key": "label_names",
        "md5": "5ff9c542aee3614f3951f8cda6e48888",
    }

    data: np.ndarray[Any, np.dtype[np.uint8]]
    targets: list[int]
    classes: list[str]

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        damaged = self._missing_or_damaged()
        if damaged:
            raise RuntimeError(
                "Dataset not found or corrupted. You can use download=True to download it; "
                f"missing or with another checksum: {', '.join(damaged)}"
            )
        parts = [self._read(name) for name, _ in (self.train_list if train else self.test_list)]
        # From planes to pixels: what Pillow takes.
        self.data = np.concatenate([images for images, _ in parts]).transpose(0, 2, 3, 1)
        self.targets = [label for _, labels in parts for label in labels]
        self.classes = read_batch_file(self._file(self.meta["filename"]))[self.meta["key"]]
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}

    def _file(self, name: str) -> Path:
        return self._path(self.base_folder, name)

    def _read(self, name: str) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], list[int]]:
        batch = read_batch_file(self._file(name))
        labels = batch.get("labels", batch.get("fine_labels"))
        images = batch.get("data")
        pixels = int(np.prod(_SHAPE))
        if labels is None or images is None or images.shape != (len(labels), pixels):
            raise RuntimeError(
                f"{self._file(name)}: expected labels and as many rows of {pixels} bytes. "
                "Delete it and run again with download=True"
            )
        return images.reshape(-1, *_SHAPE), labels

    def _missing_or_damaged(self) -> list[str]:
        wanted = [*self.train_list, *self.test_list, [self.meta["filename"], self.meta["md5"]]]
        return [
            str(self._file(name))
            for name, checksum in wanted
            if not is_intact(self._file(name), checksum)
        ]

    def download(self) -> None:
        """Fetch and unpack the archive, unless all files are there and intact."""
        if not self._missing_or_damaged():
            return
        archive = self._path(self.filename)
        fetch([self.url], archive, self.tgz_md5)
        extract_tar(archive, self._path())

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = pillow("Image").fromarray(self.data[index])
        return self._transformed(image, self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which split it is."""
        return split_name(self.train)


class CIFAR100(CIFAR10):
    """As CIFAR-10, with 100 classes."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5: str | None = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list: ClassVar[list[list[Any]]] = [["train", "16019d7e3df5f24257cddd939b257f8d"]]
    test_list: ClassVar[list[list[Any]]] = [["test", "f0ef6b0ae62326f3e7ffdfab6717acfc"]]
    meta: ClassVar[dict[str, Any]] = {
        "filename": "meta",
        "key": "fine_label_names",
        "md5": "7973b15100ade9c7d40fb424638fde48",
    }
