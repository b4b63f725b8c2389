"""Images: datasets, transforms and pictures of tensors (a subset of ``torchvision``)."""

from flambeau.vision import datasets, models, transforms, utils

__all__ = ["datasets", "models", "transforms", "utils"]
