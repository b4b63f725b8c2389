"""STL-10."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flambeau.download import fetch, is_intact
from flambeau.vision.archive import extract_tar
from flambeau.vision.datasets.vision import Transform, VisionDataset
from flambeau.vision.pillow import pillow

_SIDE = 96


class STL10(VisionDataset):
    """Colour images of 96 x 96 in 10 classes, and 100 000 without labels (Coates et al., 2011).

    Samples are a Pillow image of mode ``RGB`` and an ``int`` (-1 without a label); ``data`` (a
    uint8 NumPy array, N x 3 x 96 x 96) and ``labels`` (int64, N) hold all of them.

    Args:
        root: folder that has or gets ``stl10_binary``.
        split: ``"train"``, ``"test"``, ``"unlabeled"`` or ``"train+unlabeled"``.
        folds: of the training images those of one of the 10 folds; all if ``None``.
        transform: applied to the image.
        target_transform: applied to the label.
        download: fetch the archive if files are missing or damaged.

    Raises:
        ValueError: another split or fold.
        RuntimeError: files are missing or damaged; the message names them.
    """

    base_folder = "stl10_binary"
    url = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    filename = "stl10_binary.tar.gz"
    tgz_md5 = "91f7769df0f17e558f3565bffb0c7dfb"
    class_names_file = "class_names.txt"
    folds_list_file = "fold_indices.txt"
    train_list: ClassVar[list[list[str]]] = [
        ["train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"],
        ["train_y.bin", "5a34089d4802c674881badbb80307741"],
        ["unlabeled_X.bin", "5242ba1fed5e4be9e1e742405eb56ca4"],
    ]
    test_list: ClassVar[list[list[str]]] = [
        ["test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"],
        ["test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"],
    ]
    splits = ("train", "train+unlabeled", "unlabeled", "test")

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        folds: int | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        if split not in self.splits:
            raise ValueError(f"split {split!r} is none of {', '.join(self.splits)}")
        if folds is not None and folds not in range(10):
            raise ValueError(f"folds is a number from 0 to 9 or None, got {folds!r}")
        self.split, self.folds = split, folds
        if download:
            self.download()
        damaged = self._missing_or_damaged()
        if damaged:
            raise RuntimeError(
                "Dataset not found or corrupted. You can use download=True to download it; "
                f"missing or with another checksum: {', '.join(damaged)}"
            )
        parts = [self._part(name) for name in split.split("+")]
        self.data = np.concatenate([images for images, _ in parts])
        self.labels = np.concatenate([labels for _, labels in parts])
        self.classes = self._file(self.class_names_file).read_text().split()

    def _file(self, name: str) -> Path:
        return self._path(self.base_folder, name)

    def _part(self, name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        # The planes are stored column by column.
        flat = np.fromfile(self._file(f"{name}_X.bin"), np.uint8)
        images = flat.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 1, 3, 2)
        if name == "unlabeled":
            return images, np.full(len(images), -1, np.int64)
        # The file counts classes from 1.
        labels = np.fromfile(self._file(f"{name}_y.bin"), np.uint8).astype(np.int64) - 1
        if name == "train" and self.folds is not None:
            lines = self._file(self.folds_list_file).read_text().splitlines()
            chosen = np.array(lines[self.folds].split(), np.int64)
            return images[chosen], labels[chosen]
        return images, labels

    def _missing_or_damaged(self) -> list[str]:
        return [
            str(self._file(name))
            for name, checksum in [*self.train_list, *self.test_list]
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
        image = pillow("Image").fromarray(np.ascontiguousarray(self.data[index].transpose(1, 2, 0)))
        return self._transformed(image, int(self.labels[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which split it is."""
        return f"Split: {self.split.capitalize()}"
