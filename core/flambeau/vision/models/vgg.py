"""VGG: stacks of 3x3 convolutions (Simonyan and Zisserman 2014)."""

from __future__ import annotations

from typing import Any

from flambeau import nn
from flambeau.tensor import Tensor
from flambeau.vision.models._api import published, register
from flambeau.vision.models._utils import initialise_convolutions, initialise_linears

__all__ = [
    "VGG",
    "VGG11_BN_Weights",
    "VGG11_Weights",
    "VGG13_BN_Weights",
    "VGG13_Weights",
    "VGG16_BN_Weights",
    "VGG16_Weights",
    "VGG19_BN_Weights",
    "VGG19_Weights",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]

VGG11_Weights = published(
    "VGG11_Weights", __name__, 132_863_336, IMAGENET1K_V1=("vgg11-8a719046.pth", 256, 224)
)
VGG11_BN_Weights = published(
    "VGG11_BN_Weights", __name__, 132_868_840, IMAGENET1K_V1=("vgg11_bn-6002323d.pth", 256, 224)
)
VGG13_Weights = published(
    "VGG13_Weights", __name__, 133_047_848, IMAGENET1K_V1=("vgg13-19584684.pth", 256, 224)
)
VGG13_BN_Weights = published(
    "VGG13_BN_Weights", __name__, 133_053_736, IMAGENET1K_V1=("vgg13_bn-abd245e5.pth", 256, 224)
)
VGG16_Weights = published(
    "VGG16_Weights", __name__, 138_357_544, IMAGENET1K_V1=("vgg16-397923af.pth", 256, 224)
)
VGG16_BN_Weights = published(
    "VGG16_BN_Weights", __name__, 138_365_992, IMAGENET1K_V1=("vgg16_bn-6c64b313.pth", 256, 224)
)
VGG19_Weights = published(
    "VGG19_Weights", __name__, 143_667_240, IMAGENET1K_V1=("vgg19-dcbb9e9d.pth", 256, 224)
)
VGG19_BN_Weights = published(
    "VGG19_BN_Weights", __name__, 143_678_248, IMAGENET1K_V1=("vgg19_bn-c79401a0.pth", 256, 224)
)

# How many convolutions precede each of the five poolings.
_DEPTHS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
_WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """Convolutions ``features``, pooled to 7 x 7, and three linear layers."""

    def __init__(
        self,
        features: nn.Module,
        num_classes: int = 1000,
        init_weights: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            initialise_convolutions(self)
            initialise_linears(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N, num_classes)``."""
        scores: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return scores


def _vgg(depth: int, batch_norm: bool, **kwargs: Any) -> VGG:
    layers: list[nn.Module] = []
    channels = 3
    for width, repeats in zip(_WIDTHS, _DEPTHS[depth], strict=True):
        for _ in range(repeats):
            layers.append(nn.Conv2d(channels, width, kernel_size=3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU(inplace=True))
            channels = width
        layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return VGG(nn.Sequential(*layers), **kwargs)


@register(VGG11_Weights, loading={"init_weights": False})
def vgg11(**kwargs: Any) -> VGG:
    """VGG with 11 layers."""
    return _vgg(11, False, **kwargs)


@register(VGG11_BN_Weights, loading={"init_weights": False})
def vgg11_bn(**kwargs: Any) -> VGG:
    """VGG with 11 layers and batch normalisation."""
    return _vgg(11, True, **kwargs)


@register(VGG13_Weights, loading={"init_weights": False})
def vgg13(**kwargs: Any) -> VGG:
    """VGG with 13 layers."""
    return _vgg(13, False, **kwargs)


@register(VGG13_BN_Weights, loading={"init_weights": False})
def vgg13_bn(**kwargs: Any) -> VGG:
    """VGG with 13 layers and batch normalisation."""
    return _vgg(13, True, **kwargs)


@register(VGG16_Weights, loading={"init_weights": False})
def vgg16(**kwargs: Any) -> VGG:
    """VGG with 16 layers."""
    return _vgg(16, False, **kwargs)


@register(VGG16_BN_Weights, loading={"init_weights": False})
def vgg16_bn(**kwargs: Any) -> VGG:
    """VGG with 16 layers and batch normalisation."""
    return _vgg(16, True, **kwargs)


@register(VGG19_Weights, loading={"init_weights": False})
def vgg19(**kwargs: Any) -> VGG:
    """VGG with 19 layers."""
    return _vgg(19, False, **kwargs)


@register(VGG19_BN_Weights, loading={"init_weights": False})
def vgg19_bn(**kwargs: Any) -> VGG:
    """VGG with 19 layers and batch normalisation."""
    return _vgg(19, True, **kwargs)
