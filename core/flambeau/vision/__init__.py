"""Images: datasets, transforms and pictures of tensors (a subset of ``torchvision``)."""

from flambeau.vision import datasets, transforms, utils

__all__ = ["datasets", "transforms", "utils"]
