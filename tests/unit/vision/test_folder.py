"""Images in folders."""

import pytest

from flambeau.vision.datasets import DatasetFolder, ImageFolder
from flambeau.vision.datasets.folder import find_classes, is_image_file, make_dataset

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def root(tmp_path):
    for name, color in [
        ("dog/b.png", (1, 2, 3)),
        ("dog/a.PNG", (4, 5, 6)),
        ("cat/x/deep.jpg", (7, 8, 9)),
        ("cat/z.bmp", (9, 9, 9)),
    ]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 5), color).save(path)
    (tmp_path / "cat/notes.txt").write_text("no image")
    (tmp_path / "readme.txt").write_text("no class")
    return tmp_path


def test_classes_are_sorted_folders(root):
    assert find_classes(root) == (["cat", "dog"], {"cat": 0, "dog": 1})


def test_samples_are_sorted_paths(root):
    dataset = ImageFolder(root)
    names = [path.removeprefix(str(root)) for path, _ in dataset.samples]
    assert names == ["/cat/z.bmp", "/cat/x/deep.jpg", "/dog/a.PNG", "/dog/b.png"]
    assert dataset.targets == [0, 0, 1, 1]
    assert dataset.imgs == dataset.samples
    image, label = dataset[3]
    assert (image.mode, image.size, image.getpixel((0, 0)), label) == ("RGB", (4, 5), (1, 2, 3), 1)


def test_transforms_are_applied(root):
    dataset = ImageFolder(root, transform=lambda im: im.size, target_transform=lambda t: -t)
    assert dataset[3] == ((4, 5), -1)


def test_other_files(root):
    dataset = DatasetFolder(root, loader=str, extensions=(".txt",), allow_empty=True)
    assert [sample[0].endswith("notes.txt") for sample in dataset] == [True]
    only = ImageFolder(root, is_valid_file=lambda path: path.endswith("z.bmp"), allow_empty=True)
    assert len(only) == 1


def test_repr(root):
    assert repr(ImageFolder(root)) == (
        f"Dataset ImageFolder\n    Number of datapoints: 4\n    Root location: {root}"
    )


def test_no_class(tmp_path):
    with pytest.raises(FileNotFoundError, match="any class folder"):
        ImageFolder(tmp_path)


def test_a_class_without_images(root):
    (root / "bird").mkdir()
    with pytest.raises(FileNotFoundError, match=r"classes bird.*\.jpg"):
        ImageFolder(root)
    assert len(ImageFolder(root, allow_empty=True).classes) == 3


def test_make_dataset_refuses(root):
    with pytest.raises(ValueError, match="cannot be None or not None"):
        make_dataset(root)
    with pytest.raises(ValueError, match="cannot be None or not None"):
        make_dataset(root, extensions=(".png",), is_valid_file=bool)
    with pytest.raises(ValueError, match="at least one entry"):
        make_dataset(root, {}, extensions=(".png",))


def test_names_of_images():
    assert is_image_file("A.JpEg")
    assert not is_image_file("a.txt")
