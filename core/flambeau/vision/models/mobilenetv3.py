"""MobileNetV3: found by search, with squeeze-and-excitation (Howard et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from flambeau import nn
from flambeau.tensor import Tensor
from flambeau.vision.models._api import published, register
from flambeau.vision.models._utils import (
    initialise_convolutions,
    initialise_linears,
    make_divisible,
)
from flambeau.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation

__all__ = [
    "MobileNetV3",
    "MobileNet_V3_Large_Weights",
    "MobileNet_V3_Small_Weights",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
]

MobileNet_V3_Large_Weights = published(
    "MobileNet_V3_Large_Weights",
    __name__,
    5_483_032,
    IMAGENET1K_V1=("mobilenet_v3_large-8738ca79.pth", 256, 224),
    IMAGENET1K_V2=("mobilenet_v3_large-5c1a4163.pth", 232, 224),
)
MobileNet_V3_Small_Weights = published(
    "MobileNet_V3_Small_Weights",
    __name__,
    2_542_856,
    IMAGENET1K_V1=("mobilenet_v3_small-047dcff4.pth", 256, 224),
)

# Per block: channels, kernel, expanded channels, new channels, whether squeezed and excited,
# ReLU or hard swish, stride, and whether it is in the tail that may be narrowed or dilated.
_LARGE = (
    (16, 3, 16, 16, False, "RE", 1, False),
    (16, 3, 64, 24, False, "RE", 2, False),
    (24, 3, 72, 24, False, "RE", 1, False),
    (24, 5, 72, 40, True, "RE", 2, False),
    (40, 5, 120, 40, True, "RE", 1, False),
    (40, 5, 120, 40, True, "RE", 1, False),
    (40, 3, 240, 80, False, "HS", 2, False),
    (80, 3, 200, 80, False, "HS", 1, False),
    (80, 3, 184, 80, False, "HS", 1, False),
    (80, 3, 184, 80, False, "HS", 1, False),
    (80, 3, 480, 112, True, "HS", 1, False),
    (112, 3, 672, 112, True, "HS", 1, False),
    (112, 5, 672, 160, True, "HS", 2, True),
    (160, 5, 960, 160, True, "HS", 1, True),
    (160, 5, 960, 160, True, "HS", 1, True),
)
_SMALL = (
    (16, 3, 16, 16, True, "RE", 2, False),
    (16, 3, 72, 24, False, "RE", 2, False),
    (24, 3, 88, 24, False, "RE", 1, False),
    (24, 5, 96, 40, True, "HS", 2, False),
    (40, 5, 240, 40, True, "HS", 1, False),
    (40, 5, 240, 40, True, "HS", 1, False),
    (40, 5, 120, 48, True, "HS", 1, False),
    (48, 5, 144, 48, True, "HS", 1, False),
    (48, 5, 288, 96, True, "HS", 2, True),
    (96, 5, 576, 96, True, "HS", 1, True),
    (96, 5, 576, 96, True, "HS", 1, True),
)


class InvertedResidualConfig(NamedTuple):
    """The shape of one block."""

    input_channels: int
    kernel: int
    expanded_channels: int
    out_channels: int
    use_se: bool
    activation: str
    stride: int
    dilation: int


class InvertedResidual(nn.Module):
    """Widens, convolves each channel, gates, narrows; the way around where shapes agree."""

    def __init__(self, cnf: InvertedResidualConfig, norm_layer: Callable[..., nn.Module]) -> None:
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.out_channels = cnf.out_channels
        activation = nn.Hardswish if cnf.activation == "HS" else nn.ReLU
        act: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": activation}
        wide = cnf.expanded_channels
        layers: list[nn.Module] = []
        if wide != cnf.input_channels:
            layers.append(Conv2dNormActivation(cnf.input_channels, wide, kernel_size=1, **act))
        layers.append(
            Conv2dNormActivation(
                wide,
                wide,
                kernel_size=cnf.kernel,
                stride=1 if cnf.dilation > 1 else cnf.stride,
                dilation=cnf.dilation,
                groups=wide,
                **act,
            )
        )
        if cnf.use_se:
            squeezed = make_divisible(wide // 4, 8)
            layers.append(SqueezeExcitation(wide, squeezed, scale_activation=nn.Hardsigmoid))
        act["activation_layer"] = None
        layers.append(Conv2dNormActivation(wide, cnf.out_channels, kernel_size=1, **act))
        self.block = nn.Sequential(*layers)

    def forward(self, input: Tensor) -> Tensor:
        """Of ``input_channels`` channels, ``out_channels``."""
        out: Tensor = self.block(input)
        return out + input if self.use_res_connect else out


class MobileNetV3(nn.Module):
    """Blocks of the given shapes.

    Args:
        inverted_residual_setting: shapes of the blocks.
        last_channel: width before the last layer.
        num_classes: width of the output.
        block: class of the blocks.
        norm_layer: makes a normalisation of a number of channels.
        dropout: before the last layer.
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[InvertedResidualConfig],
        last_channel: int,
        num_classes: int = 1000,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        block = block or InvertedResidual
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        act: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": nn.Hardswish}
        channels = inverted_residual_setting[0].input_channels
        last = inverted_residual_setting[-1].out_channels
        self.features = nn.Sequential(
            Conv2dNormActivation(3, channels, stride=2, **act),
            *[block(cnf, norm_layer) for cnf in inverted_residual_setting],
            Conv2dNormActivation(last, 6 * last, kernel_size=1, **act),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * last, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        initialise_convolutions(self)
        initialise_linears(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N, num_classes)`` of images ``(N, 3, H, W)``."""
        scores: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return scores


def _mobilenet_v3(
    blocks: Sequence[tuple[int, int, int, int, bool, str, int, bool]],
    last_channel: int,
    *,
    width_mult: float = 1.0,
    reduced_tail: bool = False,
    dilated: bool = False,
    **kwargs: Any,
) -> MobileNetV3:
    """``reduced_tail`` halves the last widths, ``dilated`` keeps the size of the last stage."""
    half = 2 if reduced_tail else 1
    tail = [tail for *_, tail in blocks].index(True)
    setting = []
    for i, (width, kernel, wide, new, gated, activation, stride, is_tail) in enumerate(blocks):
        widths = (
            width // (half if i > tail else 1),
            wide // (half if i > tail else 1),
            new // (half if is_tail else 1),
        )
        into, wider, out = (make_divisible(w * width_mult, 8) for w in widths)
        dilation = 2 if dilated and is_tail else 1
        setting.append(
            InvertedResidualConfig(into, kernel, wider, out, gated, activation, stride, dilation)
        )
    last = make_divisible(last_channel // half * width_mult, 8)
    return MobileNetV3(setting, last, **kwargs)


@register(MobileNet_V3_Large_Weights)
def mobilenet_v3_large(**kwargs: Any) -> MobileNetV3:
    """MobileNetV3, large."""
    return _mobilenet_v3(_LARGE, 1280, **kwargs)


@register(MobileNet_V3_Small_Weights)
def mobilenet_v3_small(**kwargs: Any) -> MobileNetV3:
    """MobileNetV3, small."""
    return _mobilenet_v3(_SMALL, 1024, **kwargs)
