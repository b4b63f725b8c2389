"""Rules that several models share."""

from __future__ import annotations

from flambeau import nn


def make_divisible(v: float, divisor: int = 8, min_value: int | None = None) -> int:
    """A width rounded to a multiple, at least ``min_value``, and less by at most a tenth."""
    rounded = max(min_value or divisor, int(v + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * v else rounded


def initialise_convolutions(model: nn.Module, mode: str = "fan_out") -> None:
    """Kaiming-normal weights of 2d convolutions, their biases 0; normalisations as identities."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            if module.weight is not None:
                nn.init.ones_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialise_linears(model: nn.Module, std: float = 0.01) -> None:
    """Normal weights of linear layers, and biases 0."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
