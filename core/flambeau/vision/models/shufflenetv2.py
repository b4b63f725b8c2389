"""ShuffleNetV2: half of the channels pass by, then the halves are mixed (Ma et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.tensor import Tensor
from flambeau.vision.models._api import published, register

__all__ = [
    "ShuffleNetV2",
    "ShuffleNet_V2_X0_5_Weights",
    "ShuffleNet_V2_X1_0_Weights",
    "ShuffleNet_V2_X1_5_Weights",
    "ShuffleNet_V2_X2_0_Weights",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]

ShuffleNet_V2_X0_5_Weights = published(
    "ShuffleNet_V2_X0_5_Weights",
    __name__,
    1_366_792,
    IMAGENET1K_V1=("shufflenetv2_x0.5-f707e7126e.pth", 256, 224),
)
ShuffleNet_V2_X1_0_Weights = published(
    "ShuffleNet_V2_X1_0_Weights",
    __name__,
    2_278_604,
    IMAGENET1K_V1=("shufflenetv2_x1-5666bf0f80.pth", 256, 224),
)
ShuffleNet_V2_X1_5_Weights = published(
    "ShuffleNet_V2_X1_5_Weights",
    __name__,
    3_503_624,
    IMAGENET1K_V1=("shufflenetv2_x1_5-3c479a10.pth", 232, 224),
)
ShuffleNet_V2_X2_0_Weights = published(
    "ShuffleNet_V2_X2_0_Weights",
    __name__,
    7_393_996,
    IMAGENET1K_V1=("shufflenetv2_x2_0-8be3c8ee.pth", 232, 224),
)


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of the groups."""
    batch, channels, height, width = x.shape
    apart = x.view(batch, groups, channels // groups, height, width)
    return apart.transpose(1, 2).reshape(batch, channels, height, width)


def _pointwise(inp: int, oup: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inp, oup, kernel_size=1, bias=False),
        nn.BatchNorm2d(oup),
        nn.ReLU(inplace=True),
    ]


def _depthwise(width: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(width, width, 3, stride, 1, bias=False, groups=width)
    return [convolution, nn.BatchNorm2d(width)]


class InvertedResidual(nn.Module):
    """At stride 1 the first half passes by; else a branch of its own halves its size."""

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        if not 1 <= stride <= 3:
            raise ValueError("illegal stride value")
        if stride == 1 and inp != oup:
            raise ValueError(
                f"Invalid combination of stride {stride}, inp {inp} and oup {oup} values. "
                "If stride == 1 then inp should be equal to oup."
            )
        self.stride = stride
        half = oup // 2
        shrunk = [*_depthwise(inp, stride), *_pointwise(inp, half)] if stride > 1 else []
        self.branch1 = nn.Sequential(*shrunk)
        self.branch2 = nn.Sequential(
            *_pointwise(inp if stride > 1 else half, half),
            *_depthwise(half, stride),
            *_pointwise(half, half),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Of ``inp`` channels, ``oup``."""
        if self.stride == 1:
            kept, changed = x.chunk(2, dim=1)
            out = fb.cat((kept, self.branch2(changed)), dim=1)
        else:
            out = fb.cat((self.branch1(x), self.branch2(x)), dim=1)
        return channel_shuffle(out, 2)


class ShuffleNetV2(nn.Module):
    """Three stages of blocks between two convolutions.

    Args:
        stages_repeats: blocks of each stage.
        stages_out_channels: of the first convolution, the stages and the last convolution.
        num_classes: width of the output.
        inverted_residual: class of the blocks.

    Raises:
        ValueError: there are not three stages, or not five widths.
    """

    def __init__(
        self,
        stages_repeats: Sequence[int],
        stages_out_channels: Sequence[int],
        num_classes: int = 1000,
        inverted_residual: Any = InvertedResidual,
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError("expected stages_repeats as list of 3 positive ints")
        if len(stages_out_channels) != 5:
            raise ValueError("expected stages_out_channels as list of 5 positive ints")
        first, *widths, last = stages_out_channels
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)
        )
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        channels = first
        for i, (repeats, width) in enumerate(zip(stages_repeats, widths, strict=True)):
            blocks = [inverted_residual(channels, width, 2)]
            blocks += [inverted_residual(width, width, 1) for _ in range(repeats - 1)]
            setattr(self, f"stage{i + 2}", nn.Sequential(*blocks))
            channels = width
        self.conv5 = nn.Sequential(*_pointwise(channels, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N, num_classes)`` of images ``(N, 3, H, W)``."""
        x = self.maxpool(self.conv1(x))
        x = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        scores: Tensor = self.fc(x.mean([2, 3]))
        return scores


@register(ShuffleNet_V2_X0_5_Weights)
def shufflenet_v2_x0_5(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2 of half the width."""
    return ShuffleNetV2([4, 8, 4], [24, 48, 96, 192, 1024], **kwargs)


@register(ShuffleNet_V2_X1_0_Weights)
def shufflenet_v2_x1_0(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2."""
    return ShuffleNetV2([4, 8, 4], [24, 116, 232, 464, 1024], **kwargs)


@register(ShuffleNet_V2_X1_5_Weights)
def shufflenet_v2_x1_5(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2 of 1.5 times the width."""
    return ShuffleNetV2([4, 8, 4], [24, 176, 352, 704, 1024], **kwargs)


@register(ShuffleNet_V2_X2_0_Weights)
def shufflenet_v2_x2_0(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2 of twice the width."""
    return ShuffleNetV2([4, 8, 4], [24, 244, 488, 976, 2048], **kwargs)
