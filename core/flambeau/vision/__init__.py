"""Images: datasets, transforms and pictures of tensors (a subset of ``torchvision``)."""

from flambeau.vision import datasets, io, models, ops, transforms, utils

__all__ = ["datasets", "io", "models", "ops", "transforms", "utils"]
