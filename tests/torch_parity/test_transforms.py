"""Transforms against torchvision's, where it is installed: values, streams, reprs."""

import random
import warnings

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import transforms

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")
try:
    import torchvision.transforms as reference
except (ImportError, RuntimeError) as error:  # built for another torch
    pytest.skip(f"torchvision: {error}", allow_module_level=True)

PIXELS = np.random.default_rng(0).integers(0, 256, (37, 45, 3), dtype=np.uint8)

# A transform per line; T is the module.  After the comma: how much bytes and floats may differ,
# because PyTorch computes the same in another order.
SPECS = {
    "T.ToTensor()": (0, 0),
    "T.PILToTensor()": (0, 0),
    "T.Resize(20)": (1, 1e-5),
    "T.Resize((50, 60))": (1, 1e-5),
    "T.Resize(50, max_size=55)": (1, 1e-5),
    "T.Resize((20, 60), T.InterpolationMode.NEAREST)": (0, 0),
    "T.Resize((20, 61), T.InterpolationMode.NEAREST_EXACT)": (0, 0),
    "T.Resize((20, 60), T.InterpolationMode.BICUBIC)": (1, 1e-5),
    "T.CenterCrop(20)": (0, 0),
    "T.CenterCrop((50, 20))": (0, 0),
    "T.FiveCrop(10)": (0, 0),
    "T.TenCrop(10, vertical_flip=True)": (0, 0),
    "T.Pad(3)": (0, 0),
    "T.Pad((1, 2, 3, 4), padding_mode='symmetric')": (0, 0),
    "T.Pad((1, -2, -3, 4), padding_mode='edge')": (0, 0),
    "T.RandomCrop(20)": (0, 0),
    "T.RandomCrop(32, padding=4, padding_mode='reflect')": (0, 0),
    "T.RandomCrop(60, pad_if_needed=True, fill=7)": (0, 0),
    "T.RandomHorizontalFlip()": (0, 0),
    "T.RandomVerticalFlip()": (0, 0),
    "T.RandomResizedCrop(24)": (1, 1e-5),
    "T.Grayscale()": (0, 1e-6),
    "T.RandomGrayscale(0.5)": (0, 1e-6),
    "T.ColorJitter(0.4, 0.4, 0.4, 0.2)": (1, 1e-5),
    "T.RandomRotation(30)": (0, 0),
    "T.RandomRotation((10, 80), T.InterpolationMode.BILINEAR, expand=True, fill=8)": (1, 1e-3),
    "T.RandomAffine(20, (0.1, 0.2), (0.8, 1.3), (1, 5, 2, 20), fill=5)": (0, 0),
    "T.RandomApply([T.RandomCrop(10), T.RandomHorizontalFlip()])": (0, 0),
    "T.RandomChoice([T.RandomCrop(10), T.RandomHorizontalFlip()])": (0, 0),
    "T.RandomOrder([T.RandomCrop(10), T.RandomHorizontalFlip()])": (0, 0),
}
OF_TENSORS = {
    "T.RandomErasing(1.0)": (0, 0),
    "T.RandomErasing(0.5, value='random')": (0, 1e-6),
    "T.Normalize((0.5, 0.4, 0.3), (0.1, 0.2, 0.3))": (0, 1e-6),
}


def results(library, module, spec, image, seed):
    """Arrays that the transform gives, and where the generators are afterwards."""
    library.manual_seed(seed)
    random.seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = eval(spec, {"T": module})(image)
    arrays = [np.asarray(item) for item in (out if isinstance(out, tuple) else (out,))]
    return arrays, library.rand(1).item(), random.random()


def compare(ours, theirs, tolerance, share=0.0):
    assert ours[1:] == theirs[1:]
    for mine, other in zip(ours[0], theirs[0], strict=True):
        assert mine.dtype == other.dtype
        assert mine.shape == other.shape
        apart = np.abs(mine.astype(float) - other.astype(float)) > tolerance
        assert apart.mean() <= share


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("seed", [0, 1])
def test_pillow_images(spec, seed):
    image = Image.fromarray(PIXELS)
    ours = results(fb, transforms, spec, image.copy(), seed)
    theirs = results(torch, reference, spec, image.copy(), seed)
    compare(ours, theirs, 0)


@pytest.mark.parametrize("spec", [s for s in SPECS if "ToTensor" not in s])
@pytest.mark.parametrize("seed", [0, 1])
def test_byte_tensors(spec, seed):
    planes = PIXELS.transpose(2, 0, 1).copy()
    ours = results(fb, transforms, spec, fb.from_numpy(planes.copy()), seed)
    theirs = results(torch, reference, spec, torch.from_numpy(planes.copy()), seed)
    # Between two pixels the last bit decides which one is nearest.
    share = 0.005 if "Rotation" in spec or "Affine" in spec else 0.0
    compare(ours, theirs, SPECS[spec][0], share)


@pytest.mark.parametrize("spec", [s for s in [*SPECS, *OF_TENSORS] if "ToTensor" not in s])
@pytest.mark.parametrize("seed", [0, 1])
def test_float_tensors(spec, seed):
    planes = np.float32(PIXELS.transpose(2, 0, 1)) / 255
    ours = results(fb, transforms, spec, fb.from_numpy(planes.copy()), seed)
    theirs = results(torch, reference, spec, torch.from_numpy(planes.copy()), seed)
    share = 0.005 if "Rotation" in spec or "Affine" in spec else 0.0
    compare(ours, theirs, (SPECS | OF_TENSORS)[spec][1], share)


@pytest.mark.parametrize("spec", [*SPECS, *OF_TENSORS])
def test_reprs(spec):
    assert repr(eval(spec, {"T": transforms})) == repr(eval(spec, {"T": reference}))
