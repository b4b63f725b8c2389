"""MNIST and the datasets that took over its form."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import flambeau as fb
from flambeau.download import fetch
from flambeau.vision.archive import gunzip
from flambeau.vision.datasets.idx import read_idx
from flambeau.vision.datasets.vision import Transform, VisionDataset, split_name
from flambeau.vision.pillow import pillow

if TYPE_CHECKING:
    from flambeau import Tensor


class MNIST(VisionDataset):
    """Handwritten digits: 60 000 and 10 000 grey images of 28 x 28 (LeCun, Cortes, Burges).

    Samples are a Pillow image of mode ``L`` and an ``int``; ``data`` (uint8, N x 28 x 28) and
    ``targets`` (int64, N) hold all of them.

    Args:
        root: folder that has or gets ``MNIST/raw``.
        train: the 60 000 or the 10 000.
        transform: applied to the image.
        target_transform: applied to the label.
        download: fetch what is missing.

    Raises:
        RuntimeError: files are missing or damaged; the message names them.
    """

    mirrors: ClassVar[list[str]] = [
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ]
    resources: ClassVar[list[tuple[str, str]]] = [
        (
            "train-images-idx3-ubyte.gz",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ]
    classes: ClassVar[list[str]] = [
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    ]

    data: Tensor
    targets: Tensor

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
        missing = [name for name in self._raw_files() if not os.path.isfile(name)]
        if missing:
            raise RuntimeError(
                "Dataset not found. You can use download=True to download it; missing: "
                + ", ".join(missing)
            )
        self.data, self.targets = self._load()

    @property
    def raw_folder(self) -> str:
        """Where the files are."""
        return str(self._path(type(self).__name__, "raw"))

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Label of every class name."""
        return {name: label for label, name in enumerate(self.classes)}

    def _raw_files(self) -> list[str]:
        return [
            os.path.join(self.raw_folder, name.removesuffix(".gz")) for name, _ in self.resources
        ]

    def _load(self) -> tuple[Tensor, Tensor]:
        images_file, labels_file = self._raw_files()[:2] if self.train else self._raw_files()[2:]
        images, labels = read_idx(images_file), read_idx(labels_file)
        if images.ndim != 3 or images.dtype != "u1":
            raise RuntimeError(f"{images_file}: expected N x H x W bytes, found {images.shape}")
        if labels.shape != images.shape[:1]:
            raise RuntimeError(
                f"{labels_file}: expected {len(images)} labels, found shape {labels.shape}"
            )
        return fb.from_numpy(images), fb.from_numpy(labels.astype("i8"))

    def download(self) -> None:
        """Fetch and unpack the files that are not there."""
        for (name, checksum), target in zip(self.resources, self._raw_files(), strict=True):
            if os.path.isfile(target):
                continue
            packed = os.path.join(self.raw_folder, name)
            fetch([mirror + name for mirror in self.mirrors], packed, checksum)
            gunzip(packed, target)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = pillow("Image").fromarray(self.data[index].numpy())
        return self._transformed(image, int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which split it is."""
        return split_name(self.train)


class FashionMNIST(MNIST):
    """Clothes in the form of MNIST (Xiao, Rasul, Vollgraf, 2017)."""

    mirrors: ClassVar[list[str]] = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]
    resources: ClassVar[list[tuple[str, str]]] = [
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ]
    classes: ClassVar[list[str]] = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]


class KMNIST(MNIST):
    """Handwritten hiragana in the form of MNIST (Clanuwat et al., 2018)."""

    mirrors: ClassVar[list[str]] = ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"]
    resources: ClassVar[list[tuple[str, str]]] = [
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    ]
    classes: ClassVar[list[str]] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]
