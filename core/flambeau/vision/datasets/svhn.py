"""Street View House Numbers."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flambeau.download import fetch, is_intact
from flambeau.vision.datasets.vision import Transform, VisionDataset
from flambeau.vision.pillow import pillow


class SVHN(VisionDataset):
    """Digits of house numbers, colour images of 32 x 32 (Netzer et al., 2011).

    Samples are a Pillow image of mode ``RGB`` and an ``int``; ``data`` (a uint8 NumPy array,
    N x 3 x 32 x 32) and ``labels`` (int64, N) hold all of them.  Reading needs SciPy.

    Args:
        root: folder that has or gets the file.
        split: ``"train"``, ``"test"`` or ``"extra"``.
        transform: applied to the image.
        target_transform: applied to the label.
        download: fetch the file if it is missing or damaged.

    Raises:
        ValueError: another split.
        RuntimeError: the file is missing or damaged.
        ImportError: SciPy is not installed.
    """

    split_list: ClassVar[dict[str, list[str]]] = {
        "train": [
            "http://ufldl.stanford.edu/housenumbers/train_32x32.mat",
            "train_32x32.mat",
            "e26dedcc434d2e4c54c9b2d4a06d8373",
        ],
        "test": [
            "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
            "test_32x32.mat",
            "eb5a983be6a315427106f1b164d9cef3",
        ],
        "extra": [
            "http://ufldl.stanford.edu/housenumbers/extra_32x32.mat",
            "extra_32x32.mat",
            "a93ce644f1a588dc4d68dda5feec44a7",
        ],
    }

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        if split not in self.split_list:
            raise ValueError(f"split {split!r} is none of {', '.join(self.split_list)}")
        self.split = split
        self.url, self.filename, self.file_md5 = self.split_list[split]
        if download:
            self.download()
        if not is_intact(self._path(self.filename), self.file_md5):
            raise RuntimeError(
                "Dataset not found or corrupted. You can use download=True to download it; missing "
                f"or with another checksum: {self._path(self.filename)}"
            )
        content = _loadmat(self._path(self.filename))
        self.data = np.ascontiguousarray(content["X"].transpose(3, 2, 0, 1))
        # The file has 10 for the digit 0.
        self.labels = content["y"].astype(np.int64).reshape(-1) % 10

    def download(self) -> None:
        """Fetch the file, unless it is there and intact."""
        fetch([self.url], self._path(self.filename), self.file_md5)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = pillow("Image").fromarray(np.ascontiguousarray(self.data[index].transpose(1, 2, 0)))
        return self._transformed(image, int(self.labels[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which split it is."""
        return f"Split: {self.split.capitalize()}"


def _loadmat(path: Path) -> Any:
    try:
        matlab = importlib.import_module("scipy.io")
    except ImportError as error:
        raise ImportError(
            "SVHN is in MATLAB's format, which SciPy reads: pip install scipy"
        ) from error
    return matlab.loadmat(path)
