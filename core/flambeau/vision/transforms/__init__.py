"""Transforms of images (torchvision's ``torchvision.transforms``, version 1).

They take Pillow images or tensors (..., C, H, W), can be composed, and draw from flambeau's
generator as torchvision's do from torch's: the same seed gives the same crops.
"""

from flambeau.vision.transforms import functional
from flambeau.vision.transforms.color import ColorJitter, Grayscale, RandomGrayscale
from flambeau.vision.transforms.compose import (
    Compose,
    Lambda,
    RandomApply,
    RandomChoice,
    RandomOrder,
)
from flambeau.vision.transforms.conversion import (
    ConvertImageDtype,
    Normalize,
    PILToTensor,
    ToPILImage,
    ToTensor,
)
from flambeau.vision.transforms.crop import (
    CenterCrop,
    FiveCrop,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
    TenCrop,
)
from flambeau.vision.transforms.erasing import RandomErasing
from flambeau.vision.transforms.geometry import RandomAffine, RandomRotation
from flambeau.vision.transforms.interpolation import InterpolationMode

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "ConvertImageDtype",
    "FiveCrop",
    "Grayscale",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandomAffine",
    "RandomApply",
    "RandomChoice",
    "RandomCrop",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomOrder",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "TenCrop",
    "ToPILImage",
    "ToTensor",
    "functional",
]
