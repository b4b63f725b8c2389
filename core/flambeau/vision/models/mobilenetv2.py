"""MobileNetV2: inverted residuals (Sandler et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flambeau import nn
from flambeau.tensor import Tensor
from flambeau.vision.models._api import published, register
from flambeau.vision.models._utils import (
    initialise_convolutions,
    initialise_linears,
    make_divisible,
)
from flambeau.vision.ops.misc import Conv2dNormActivation

__all__ = ["MobileNetV2", "MobileNet_V2_Weights", "mobilenet_v2"]

MobileNet_V2_Weights = published(
    "MobileNet_V2_Weights",
    __name__,
    3_504_872,
    IMAGENET1K_V1=("mobilenet_v2-b0353104.pth", 256, 224),
    IMAGENET1K_V2=("mobilenet_v2-7ebf99e0.pth", 232, 224),
)

# Expansion, channels, blocks and stride of each stage.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """Widens, convolves each channel, narrows; the way around where the shapes agree."""

    def __init__(
        self,
        inp: int,
        oup: int,
        stride: int,
        expand_ratio: int,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        norm_layer = norm_layer or nn.BatchNorm2d
        self.stride = stride
        self.use_res_connect = stride == 1 and inp == oup
        self.out_channels = oup
        hidden = round(inp * expand_ratio)
        act: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": nn.ReLU6}
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(Conv2dNormActivation(inp, hidden, kernel_size=1, **act))
        layers += [
            Conv2dNormActivation(hidden, hidden, stride=stride, groups=hidden, **act),
            nn.Conv2d(hidden, oup, 1, 1, 0, bias=False),
            norm_layer(oup),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Of ``inp`` channels, ``oup``."""
        out: Tensor = self.conv(x)
        return x + out if self.use_res_connect else out


class MobileNetV2(nn.Module):
    """Seven stages of inverted residuals.

    Args:
        num_classes: width of the output.
        width_mult: scales all widths.
        inverted_residual_setting: expansion, channels, blocks and stride of each stage.
        round_nearest: all widths are multiples of it.
        block: class of the blocks.
        norm_layer: makes a normalisation of a number of channels.
        dropout: before the last layer.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        block = block or InvertedResidual
        norm_layer = norm_layer or nn.BatchNorm2d
        stages = _STAGES if inverted_residual_setting is None else inverted_residual_setting
        if not stages or any(len(stage) != 4 for stage in stages):
            raise ValueError(
                "inverted_residual_setting should be non-empty or a 4-element list, "
                f"got {inverted_residual_setting}"
            )
        act: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": nn.ReLU6}
        channels = make_divisible(32 * width_mult, round_nearest)
        self.last_channel = make_divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[nn.Module] = [Conv2dNormActivation(3, channels, stride=2, **act)]
        for expansion, base_width, blocks, stride in stages:
            width = make_divisible(base_width * width_mult, round_nearest)
            for i in range(blocks):
                first = stride if i == 0 else 1
                features.append(
                    block(channels, width, first, expand_ratio=expansion, norm_layer=norm_layer)
                )
                channels = width
        features.append(Conv2dNormActivation(channels, self.last_channel, kernel_size=1, **act))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes)
        )
        initialise_convolutions(self)
        initialise_linears(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N, num_classes)`` of images ``(N, 3, H, W)``."""
        pooled = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        scores: Tensor = self.classifier(pooled.flatten(1))
        return scores


@register(MobileNet_V2_Weights)
def mobilenet_v2(**kwargs: Any) -> MobileNetV2:
    """MobileNetV2."""
    return MobileNetV2(**kwargs)
