"""DenseNet: each layer sees all layers before it in its block (Huang et al. 2016)."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F
from flambeau.tensor import Tensor
from flambeau.vision.models._api import published, register

DenseNet121_Weights = published(
    "DenseNet121_Weights",
    __name__,
    7_978_856,
    IMAGENET1K_V1=("densenet121-a639ec97.pth", 256, 224),
)
DenseNet161_Weights = published(
    "DenseNet161_Weights",
    __name__,
    28_681_000,
    IMAGENET1K_V1=("densenet161-8d451a50.pth", 256, 224),
)
DenseNet169_Weights = published(
    "DenseNet169_Weights",
    __name__,
    14_149_480,
    IMAGENET1K_V1=("densenet169-b2777c0a.pth", 256, 224),
)
DenseNet201_Weights = published(
    "DenseNet201_Weights",
    __name__,
    20_013_928,
    IMAGENET1K_V1=("densenet201-c1103571.pth", 256, 224),
)

__all__ = [
    "DenseNet",
    "DenseNet121_Weights",
    "DenseNet161_Weights",
    "DenseNet169_Weights",
    "DenseNet201_Weights",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
]


class _DenseLayer(nn.Module):
    """A 1x1 and a 3x3 convolution of all that came before."""

    def __init__(
        self, channels: int, growth_rate: int, bn_size: int, drop_rate: float, thrifty: bool
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(channels, bn_size * growth_rate, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(
            bn_size * growth_rate, growth_rate, kernel_size=3, padding=1, bias=False
        )
        self.drop_rate = float(drop_rate)
        self.memory_efficient = thrifty

    def _narrow(self, *before: Tensor) -> Tensor:
        narrowed: Tensor = self.conv1(self.relu1(self.norm1(fb.cat(before, 1))))
        return narrowed

    def forward(self, before: list[Tensor]) -> Tensor:
        """``growth_rate`` new channels."""
        if self.memory_efficient and any(x.requires_grad for x in before):
            from flambeau.utils.checkpoint import checkpoint

            x = checkpoint(self._narrow, *before, use_reentrant=False)
        else:
            x = self._narrow(*before)
        new: Tensor = self.conv2(self.relu2(self.norm2(x)))
        if self.drop_rate > 0:
            new = F.dropout(new, p=self.drop_rate, training=self.training)
        return new


class _DenseBlock(nn.ModuleDict):
    """Layers, each of which sees the input and the output of all before it."""

    def __init__(
        self, layers: int, channels: int, growth_rate: int, bn_size: int, drop: float, thrifty: bool
    ) -> None:
        super().__init__()
        for i in range(layers):
            width = channels + i * growth_rate
            self[f"denselayer{i + 1}"] = _DenseLayer(width, growth_rate, bn_size, drop, thrifty)

    def forward(self, x: Tensor) -> Tensor:
        """The input's channels and those of all layers."""
        seen = [x]
        for layer in self.values():
            seen.append(layer(seen))
        return fb.cat(seen, 1)


class _Transition(nn.Sequential):
    """Fewer channels, half the size."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(channels, out_channels, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)


class DenseNet(nn.Module):
    """Dense blocks with transitions between.

    Args:
        growth_rate: channels that each layer adds.
        block_config: layers of each block.
        num_init_features: channels of the first convolution.
        bn_size: width of the 1x1 convolutions, in growth rates.
        drop_rate: of the dropout after each layer.
        num_classes: width of the output.
        memory_efficient: compute the 1x1 convolutions again in the backward pass.
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        channels = num_init_features
        stem: list[tuple[str, nn.Module]] = [
            ("conv0", nn.Conv2d(3, channels, kernel_size=7, stride=2, padding=3, bias=False)),
            ("norm0", nn.BatchNorm2d(channels)),
            ("relu0", nn.ReLU(inplace=True)),
            ("pool0", nn.MaxPool2d(kernel_size=3, stride=2, padding=1)),
        ]
        self.features = nn.Sequential(OrderedDict(stem))
        for i, layers in enumerate(block_config, 1):
            block = _DenseBlock(layers, channels, growth_rate, bn_size, drop_rate, memory_efficient)
            self.features.add_module(f"denseblock{i}", block)
            channels += layers * growth_rate
            if i < len(block_config):
                self.features.add_module(f"transition{i}", _Transition(channels, channels // 2))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N, num_classes)`` of images ``(N, 3, H, W)``."""
        features = F.relu(self.features(x), inplace=True)
        scores: Tensor = self.classifier(F.adaptive_avg_pool2d(features, (1, 1)).flatten(1))
        return scores


def _renamed(key: str) -> str:
    """The published files are of a time when a module's name could have a dot."""
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", key)


@register(DenseNet121_Weights, rename=_renamed)
def densenet121(**kwargs: Any) -> DenseNet:
    """DenseNet-121."""
    return DenseNet(32, (6, 12, 24, 16), 64, **kwargs)


@register(DenseNet161_Weights, rename=_renamed)
def densenet161(**kwargs: Any) -> DenseNet:
    """DenseNet-161."""
    return DenseNet(48, (6, 12, 36, 24), 96, **kwargs)


@register(DenseNet169_Weights, rename=_renamed)
def densenet169(**kwargs: Any) -> DenseNet:
    """DenseNet-169."""
    return DenseNet(32, (6, 12, 32, 32), 64, **kwargs)


@register(DenseNet201_Weights, rename=_renamed)
def densenet201(**kwargs: Any) -> DenseNet:
    """DenseNet-201."""
    return DenseNet(32, (6, 12, 48, 32), 64, **kwargs)
