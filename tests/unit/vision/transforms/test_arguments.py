"""Reprs, and arguments that are refused."""

import pytest

import flambeau as fb
from flambeau.vision import transforms as T
from flambeau.vision.transforms import functional as F

I = T.InterpolationMode  # noqa: E741


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (T.ToTensor(), "ToTensor()"),
        (T.PILToTensor(), "PILToTensor()"),
        (T.ToPILImage(), "ToPILImage()"),
        (T.ToPILImage("RGB"), "ToPILImage(mode=RGB)"),
        (T.ConvertImageDtype(fb.uint8), "ConvertImageDtype()"),
        (T.Normalize((0.5,), (0.1,)), "Normalize(mean=(0.5,), std=(0.1,))"),
        (
            T.Resize(8),
            "Resize(size=8, interpolation=bilinear, max_size=None, antialias=True)",
        ),
        (
            T.Resize((8, 9), I.NEAREST, antialias=None),
            "Resize(size=(8, 9), interpolation=nearest, max_size=None, antialias=None)",
        ),
        (T.CenterCrop(8), "CenterCrop(size=(8, 8))"),
        (T.CenterCrop([8, 9]), "CenterCrop(size=[8, 9])"),
        (T.FiveCrop(3), "FiveCrop(size=(3, 3))"),
        (T.TenCrop(3), "TenCrop(size=(3, 3), vertical_flip=False)"),
        (T.RandomCrop(8, padding=4), "RandomCrop(size=(8, 8), padding=4)"),
        (T.Pad((1, 2)), "Pad(padding=(1, 2), fill=0, padding_mode=constant)"),
        (T.RandomHorizontalFlip(), "RandomHorizontalFlip(p=0.5)"),
        (T.RandomVerticalFlip(0.1), "RandomVerticalFlip(p=0.1)"),
        (
            T.RandomResizedCrop(8),
            "RandomResizedCrop(size=(8, 8), scale=(0.08, 1.0), ratio=(0.75, 1.3333), "
            "interpolation=bilinear, antialias=True)",
        ),
        (T.Grayscale(3), "Grayscale(num_output_channels=3)"),
        (T.RandomGrayscale(), "RandomGrayscale(p=0.1)"),
        (
            T.ColorJitter(0.5, (0.2, 2), hue=0.1),
            "ColorJitter(brightness=(0.5, 1.5), contrast=(0.2, 2.0), saturation=None, "
            "hue=(-0.1, 0.1))",
        ),
        (
            T.RandomRotation(10),
            "RandomRotation(degrees=[-10.0, 10.0], interpolation=nearest, expand=False, fill=0)",
        ),
        (
            T.RandomRotation((0, 5), I.BILINEAR, True, (1, 2), fill=None),
            "RandomRotation(degrees=[0.0, 5.0], interpolation=bilinear, expand=True, "
            "center=(1, 2), fill=0)",
        ),
        (T.RandomAffine(10), "RandomAffine(degrees=[-10.0, 10.0])"),
        (
            T.RandomAffine(0, (0.1, 0.2), (1, 2), 5, I.BILINEAR, 7, (3, 4)),
            "RandomAffine(degrees=[0.0, 0.0], translate=(0.1, 0.2), scale=(1, 2), "
            "shear=[-5.0, 5.0], interpolation=bilinear, fill=7, center=(3, 4))",
        ),
        (
            T.RandomErasing(),
            "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False)",
        ),
        (T.Lambda(abs), "Lambda()"),
        (
            T.Compose([T.ToTensor(), T.CenterCrop(2)]),
            "Compose(\n    ToTensor()\n    CenterCrop(size=(2, 2))\n)",
        ),
        (T.RandomApply([T.ToTensor()]), "RandomApply(\n    p=0.5\n    ToTensor()\n)"),
        (T.RandomChoice([T.ToTensor()]), "RandomChoice(\n    ToTensor()\n)(p=None)"),
        (T.RandomOrder([T.ToTensor()]), "RandomOrder(\n    ToTensor()\n)"),
    ],
    ids=lambda value: value.split("(")[0] if isinstance(value, str) else "",
)
def test_repr(transform, text):
    assert repr(transform) == text


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: T.Resize(8.5), TypeError, "int or sequence"),
        (lambda: T.Resize((1, 2, 3)), ValueError, "1 or 2 values"),
        (lambda: T.Resize(8, "bilinear"), TypeError, "InterpolationMode"),
        (lambda: T.CenterCrop((1, 2, 3)), ValueError, "only two dimensions"),
        (lambda: T.Pad("3"), TypeError, "padding"),
        (lambda: T.Pad((1, 2, 3)), ValueError, "3 element tuple"),
        (lambda: T.Pad(1, fill="a"), TypeError, "fill"),
        (lambda: T.Pad(1, padding_mode="wrap"), ValueError, "constant, edge, reflect"),
        (lambda: T.Lambda(3), TypeError, "callable, got 'int'"),
        (lambda: T.RandomOrder(3), TypeError, "sequence"),
        (lambda: T.RandomChoice([abs], p=1), TypeError, "Argument p"),
        (lambda: T.RandomResizedCrop(8, scale=1), TypeError, "Scale"),
        (lambda: T.RandomResizedCrop(8, ratio=1), TypeError, "Ratio"),
        (lambda: T.ColorJitter(-1), ValueError, "brightness is a single number"),
        (lambda: T.ColorJitter(contrast="a"), TypeError, "contrast should be"),
        (lambda: T.ColorJitter(hue=0.6), ValueError, "hue values should be between"),
        (lambda: T.ColorJitter(saturation=(2, 1)), ValueError, "saturation values"),
        (lambda: T.RandomRotation(-5), ValueError, "degrees is a single number"),
        (lambda: T.RandomRotation((1, 2, 3)), ValueError, "degrees.*length 2"),
        (lambda: T.RandomRotation(5, fill={}), TypeError, "Fill"),
        (lambda: T.RandomRotation(5, center=3), TypeError, "center"),
        (lambda: T.RandomAffine(5, translate=(2, 0)), ValueError, "translation values"),
        (lambda: T.RandomAffine(5, scale=(0, 1)), ValueError, "scale values"),
        (lambda: T.RandomAffine(5, shear=(1, 2, 3)), ValueError, "length 2 or 4"),
        (lambda: T.RandomErasing(2), ValueError, "probability"),
        (lambda: T.RandomErasing(scale=(0, 2)), ValueError, "between 0 and 1"),
        (lambda: T.RandomErasing(value="noise"), ValueError, "'random'"),
        (lambda: T.RandomErasing(value={}), TypeError, "number or str"),
    ],
)
def test_constructors_refuse(make, error, words):
    with pytest.raises(error, match=words):
        make()


IMAGE = fb.rand(3, 6, 8)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: T.RandomCrop(10)(IMAGE), ValueError, r"\(10, 10\) is larger.*\(6, 8\)"),
        (lambda: F.five_crop(IMAGE, 7), ValueError, "bigger than input"),
        (lambda: F.normalize([1], (0,), (1,)), TypeError, "list"),
        (lambda: F.normalize(fb.ones(3, 2, 2).int(), (0,), (1,)), TypeError, "int32"),
        (lambda: F.normalize(fb.ones(2, 2), (0,), (1,)), ValueError, r"C, H, W"),
        (lambda: F.normalize(IMAGE, (0,), (0,)), ValueError, "std evaluated to zero"),
        (lambda: F.normalize(IMAGE[:1], (0, 0, 0), (1, 1, 1)), RuntimeError, "mean has 3.* 1 ch"),
        (lambda: F.resize(IMAGE, 4, max_size=3), ValueError, "max_size = 3"),
        (lambda: F.resize(IMAGE, (4, 4), max_size=9), ValueError, "smaller edge"),
        (lambda: F.resize(IMAGE, (1, 2, 3)), ValueError, "3 element"),
        (lambda: F.resize(IMAGE, 3, T.InterpolationMode.LANCZOS), ValueError, "'lanczos'"),
        (lambda: F.rotate(IMAGE, 3, T.InterpolationMode.BICUBIC), ValueError, "'bicubic'"),
        (lambda: F.rotate(IMAGE, "3"), TypeError, "angle"),
        (lambda: F.rotate(IMAGE, 3, center=4), TypeError, "center"),
        (lambda: F.rotate(IMAGE, 3, fill=[1, 2]), ValueError, r"2 != 3"),
        (lambda: F.affine(IMAGE, 0, 1, 1, 0), TypeError, "translate"),
        (lambda: F.affine(IMAGE, 0, (1,), 1, 0), ValueError, "length 2"),
        (lambda: F.affine(IMAGE, 0, (1, 1), 0, 0), ValueError, "scale should be positive"),
        (lambda: F.affine(IMAGE, 0, (1, 1), 1, "a"), TypeError, "Shear"),
        (lambda: F.affine(IMAGE, 0, (1, 1), 1, (1, 2, 3)), ValueError, "two values"),
        (lambda: F.adjust_hue(IMAGE, 0.7), ValueError, "hue_factor"),
        (lambda: F.adjust_gamma(IMAGE, -1), ValueError, "non-negative"),
        (lambda: F.adjust_brightness(IMAGE, -1), ValueError, "brightness_factor"),
        (lambda: F.adjust_contrast(fb.rand(2, 4, 4), 1), TypeError, r"\[1, 3\], but found 2"),
        (lambda: F.rgb_to_grayscale(IMAGE, 2), ValueError, "either 1 or 3"),
        (lambda: F.to_grayscale(IMAGE), TypeError, "PIL"),
        (lambda: F.erase("img", 0, 0, 1, 1, 0), TypeError, "str"),
        (lambda: F.hflip(3), TypeError, "PIL Image. Got <class 'int'>"),
        (lambda: F.get_dimensions("a"), TypeError, "str"),
        (lambda: F.vflip(fb.ones(3)), TypeError, "1 dimensions"),
        (lambda: F.pad(IMAGE, 1, fill=(1, 2, 3)), TypeError, "one number"),
        (lambda: F.to_tensor("a"), TypeError, "ndarray"),
        (lambda: F.pil_to_tensor(IMAGE), TypeError, "PIL Image"),
        (lambda: F.to_pil_image("a"), TypeError, "Tensor or ndarray"),
        (lambda: F.to_pil_image(fb.ones(5, 2, 2)), ValueError, "> 4 channels"),
        (lambda: F.to_pil_image(fb.ones(1, 1, 2, 2)), ValueError, "4 dimensions"),
        (lambda: F.convert_image_dtype("a"), TypeError, "Tensor Image"),
        (lambda: F.convert_image_dtype(IMAGE, fb.int32), RuntimeError, "performed safely"),
        (
            lambda: T.RandomErasing(1.0, value=(1.0, 2.0))(IMAGE),
            ValueError,
            "3 .number of input channels",
        ),
    ],
)
def test_functions_refuse(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("make", [T.RandomResizedCrop, T.RandomErasing])
def test_ranges_that_are_upside_down_are_mentioned(make):
    options = {"size": 8} if make is T.RandomResizedCrop else {}
    with pytest.warns(UserWarning, match="kind"):
        make(**options, scale=(0.5, 0.1))
