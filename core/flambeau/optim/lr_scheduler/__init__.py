"""Schedules of the learning rate."""

from flambeau.optim.lr_scheduler.annealing import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    PolynomialLR,
)
from flambeau.optim.lr_scheduler.base import LRScheduler
from flambeau.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from flambeau.optim.lr_scheduler.cyclic import CyclicLR
from flambeau.optim.lr_scheduler.functions import LambdaLR, MultiplicativeLR
from flambeau.optim.lr_scheduler.one_cycle import OneCycleLR
from flambeau.optim.lr_scheduler.plateau import ReduceLROnPlateau
from flambeau.optim.lr_scheduler.steps import (
    ConstantLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    StepLR,
)

_LRScheduler = LRScheduler  # its name of old

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
