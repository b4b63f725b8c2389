"""SqueezeNet: AlexNet's accuracy with a fiftieth of its parameters (Iandola et al. 2016)."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.tensor import Tensor
from flambeau.vision.models._api import published, register

__all__ = [
    "SqueezeNet",
    "SqueezeNet1_0_Weights",
    "SqueezeNet1_1_Weights",
    "squeezenet1_0",
    "squeezenet1_1",
]

SqueezeNet1_0_Weights = published(
    "SqueezeNet1_0_Weights",
    __name__,
    1_248_424,
    IMAGENET1K_V1=("squeezenet1_0-b66bff10.pth", 256, 224),
)
SqueezeNet1_1_Weights = published(
    "SqueezeNet1_1_Weights",
    __name__,
    1_235_496,
    IMAGENET1K_V1=("squeezenet1_1-b8a52dc0.pth", 256, 224),
)

# Channels of the stem, its kernel, and of each Fire module (squeezed, expanded); 0 is a pooling.
_PLANS: dict[str, tuple[int, int, tuple[tuple[int, int], ...]]] = {
    "1_0": (
        96,
        7,
        ((0, 0), (16, 64), (16, 64), (32, 128), (0, 0), (32, 128), (48, 192), (48, 192), (64, 256),
         (0, 0), (64, 256)),
    ),
    "1_1": (
        64,
        3,
        ((0, 0), (16, 64), (16, 64), (0, 0), (32, 128), (32, 128), (0, 0), (48, 192), (48, 192),
         (64, 256), (64, 256)),
    ),
}  # fmt: skip


class Fire(nn.Module):
    """Squeezes the channels, then expands them by 1x1 and by 3x3 convolutions, side by side."""

    def __init__(
        self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int
    ) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Of ``inplanes`` channels, the sum of both expansions'."""
        x = self.squeeze_activation(self.squeeze(x))
        small = self.expand1x1_activation(self.expand1x1(x))
        return fb.cat([small, self.expand3x3_activation(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    """Fire modules and a convolution to classes.

    Raises:
        ValueError: the version is neither ``"1_0"`` nor ``"1_1"``.
    """

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        if version not in _PLANS:
            raise ValueError(f"Unsupported SqueezeNet version {version}: 1_0 or 1_1 expected")
        self.num_classes = num_classes
        channels, kernel, plan = _PLANS[version]
        layers: list[nn.Module] = [nn.Conv2d(3, channels, kernel, stride=2), nn.ReLU(inplace=True)]
        for squeezed, expanded in plan:
            if not squeezed:
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
                continue
            layers.append(Fire(channels, squeezed, expanded, expanded))
            channels = 2 * expanded
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(channels, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        for module in self.modules():
            if not isinstance(module, nn.Conv2d):
                continue
            if module is last:
                nn.init.normal_(module.weight, mean=0.0, std=0.01)
            else:
                nn.init.kaiming_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N, num_classes)``."""
        scores: Tensor = self.classifier(self.features(x)).flatten(1)
        return scores


@register(SqueezeNet1_0_Weights)
def squeezenet1_0(**kwargs: Any) -> SqueezeNet:
    """SqueezeNet 1.0."""
    return SqueezeNet("1_0", **kwargs)


@register(SqueezeNet1_1_Weights)
def squeezenet1_1(**kwargs: Any) -> SqueezeNet:
    """SqueezeNet 1.1, with less than half the work."""
    return SqueezeNet("1_1", **kwargs)
