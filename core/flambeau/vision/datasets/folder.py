"""Images in folders, one folder per class."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flambeau.vision.datasets.vision import Transform, VisionDataset
from flambeau.vision.pillow import pillow

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def has_file_allowed_extension(filename: str, extensions: str | tuple[str, ...]) -> bool:
    """Whether a name ends in one of the extensions, in any case."""
    return filename.lower().endswith(extensions)


def is_image_file(filename: str) -> bool:
    """Whether a name ends as names of images do."""
    return has_file_allowed_extension(filename, IMG_EXTENSIONS)


def find_classes(directory: str | Path) -> tuple[list[str], dict[str, int]]:
    """Names of the folders in a folder, sorted, and their labels.

    Raises:
        FileNotFoundError: there are none.
    """
    classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    if not classes:
        raise FileNotFoundError(f"Couldn't find any class folder in {directory}.")
    return classes, {name: label for label, name in enumerate(classes)}


def make_dataset(
    directory: str | Path,
    class_to_idx: dict[str, int] | None = None,
    extensions: str | tuple[str, ...] | None = None,
    is_valid_file: Callable[[str], bool] | None = None,
    allow_empty: bool = False,
) -> list[tuple[str, int]]:
    """Paths and labels of the files in the folders of classes.

    Args:
        directory: the folder of the folders.
        class_to_idx: label of every folder; from ``find_classes`` if ``None``.
        extensions: what names must end in.
        is_valid_file: tells by the path whether a file counts, in place of ``extensions``.
        allow_empty: accept classes without files.

    Raises:
        FileNotFoundError: a class has no file.
        ValueError: both or none of ``extensions`` and ``is_valid_file`` are given.
    """
    directory = os.path.expanduser(directory)
    if class_to_idx is None:
        _, class_to_idx = find_classes(directory)
    elif not class_to_idx:
        raise ValueError("'class_to_index' must have at least one entry to collect any samples.")
    if (extensions is None) == (is_valid_file is None):
        raise ValueError(
            "Both extensions and is_valid_file cannot be None or not None at the same time"
        )
    found = {
        name: [path for path in _files(directory, name) if _counts(path, extensions, is_valid_file)]
        for name in sorted(class_to_idx)
    }
    empty = [name for name, paths in found.items() if not paths]
    if empty and not allow_empty:
        hint = ""
        if extensions is not None:
            shown = extensions if isinstance(extensions, str) else ", ".join(extensions)
            hint = f"Supported extensions are: {shown}"
        raise FileNotFoundError(
            f"Found no valid file for the classes {', '.join(empty)}. {hint}".rstrip()
        )
    return [(path, class_to_idx[name]) for name, paths in found.items() for path in paths]


def _files(directory: str, name: str) -> Iterator[str]:
    """All files below a folder, in an order that does not depend on the file system."""
    for parent, _, files in sorted(os.walk(os.path.join(directory, name), followlinks=True)):
        for file in sorted(files):
            yield os.path.join(parent, file)


def _counts(
    path: str,
    extensions: str | tuple[str, ...] | None,
    is_valid_file: Callable[[str], bool] | None,
) -> bool:
    if is_valid_file is not None:
        return is_valid_file(path)
    assert extensions is not None
    return has_file_allowed_extension(path, extensions)


def default_loader(path: str | Path) -> Any:
    """A Pillow image of mode ``RGB``."""
    with open(path, "rb") as file:  # closed also where Pillow would keep it open
        return pillow("Image").open(file).convert("RGB")


class DatasetFolder(VisionDataset):
    """Files in folders: the folder is the class.

    Args:
        root: folder of the folders.
        loader: from a path to a sample.
        extensions: what names must end in.
        transform: applied to the sample.
        target_transform: applied to the label.
        is_valid_file: tells by the path whether a file counts, in place of ``extensions``.
        allow_empty: accept classes without files.

    Raises:
        FileNotFoundError: there is no class, or a class without files.
    """

    def __init__(
        self,
        root: str | Path,
        loader: Callable[[str], Any],
        extensions: tuple[str, ...] | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        assert self.root is not None
        self.loader = loader
        self.extensions = extensions
        self.classes, self.class_to_idx = self.find_classes(self.root)
        self.samples = self.make_dataset(
            self.root, self.class_to_idx, extensions, is_valid_file, allow_empty
        )
        self.targets = [label for _, label in self.samples]

    @staticmethod
    def make_dataset(
        directory: str | Path,
        class_to_idx: dict[str, int],
        extensions: tuple[str, ...] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> list[tuple[str, int]]:
        """Paths and labels; a subclass may look elsewhere."""
        return make_dataset(directory, class_to_idx, extensions, is_valid_file, allow_empty)

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """Class names and labels; a subclass may choose its own."""
        return find_classes(directory)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self._transformed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Images in folders: ``root/cat/1.png``, ``root/dog/x/2.jpg``."""

    def __init__(
        self,
        root: str | Path,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(
            root,
            loader,
            IMG_EXTENSIONS if is_valid_file is None else None,
            transform=transform,
            target_transform=target_transform,
            is_valid_file=is_valid_file,
            allow_empty=allow_empty,
        )
        self.imgs = self.samples
