"""EfficientNet (Tan and Le 2019) and EfficientNetV2 (Tan and Le 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from flambeau import nn
from flambeau.tensor import Tensor
from flambeau.vision.models._api import published, register
from flambeau.vision.models._utils import initialise_convolutions, make_divisible
from flambeau.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from flambeau.vision.transforms.interpolation import InterpolationMode

_BICUBIC = {"interpolation": InterpolationMode.BICUBIC}

EfficientNet_B0_Weights = published(
    "EfficientNet_B0_Weights",
    __name__,
    5_288_548,
    IMAGENET1K_V1=("efficientnet_b0_rwightman-7f5810bc.pth", 256, 224, _BICUBIC),
)
EfficientNet_B1_Weights = published(
    "EfficientNet_B1_Weights",
    __name__,
    7_794_184,
    IMAGENET1K_V1=("efficientnet_b1_rwightman-bac287d4.pth", 256, 240, _BICUBIC),
    IMAGENET1K_V2=("efficientnet_b1-c27df63c.pth", 255, 240),
)
EfficientNet_B2_Weights = published(
    "EfficientNet_B2_Weights",
    __name__,
    9_109_994,
    IMAGENET1K_V1=("efficientnet_b2_rwightman-c35c1473.pth", 288, 288, _BICUBIC),
)
EfficientNet_B3_Weights = published(
    "EfficientNet_B3_Weights",
    __name__,
    12_233_232,
    IMAGENET1K_V1=("efficientnet_b3_rwightman-b3899882.pth", 320, 300, _BICUBIC),
)
EfficientNet_B4_Weights = published(
    "EfficientNet_B4_Weights",
    __name__,
    19_341_616,
    IMAGENET1K_V1=("efficientnet_b4_rwightman-23ab8bcd.pth", 384, 380, _BICUBIC),
)
EfficientNet_B5_Weights = published(
    "EfficientNet_B5_Weights",
    __name__,
    30_389_784,
    IMAGENET1K_V1=("efficientnet_b5_lukemelas-1a07897c.pth", 456, 456, _BICUBIC),
)
EfficientNet_B6_Weights = published(
    "EfficientNet_B6_Weights",
    __name__,
    43_040_704,
    IMAGENET1K_V1=("efficientnet_b6_lukemelas-24a108a5.pth", 528, 528, _BICUBIC),
)
EfficientNet_B7_Weights = published(
    "EfficientNet_B7_Weights",
    __name__,
    66_347_960,
    IMAGENET1K_V1=("efficientnet_b7_lukemelas-c5b4e57e.pth", 600, 600, _BICUBIC),
)
EfficientNet_V2_S_Weights = published(
    "EfficientNet_V2_S_Weights",
    __name__,
    21_458_488,
    IMAGENET1K_V1=("efficientnet_v2_s-dd5fe13b.pth", 384, 384),
)
EfficientNet_V2_M_Weights = published(
    "EfficientNet_V2_M_Weights",
    __name__,
    54_139_356,
    IMAGENET1K_V1=("efficientnet_v2_m-dc08266a.pth", 480, 480),
)
# The largest was trained on inputs from -1 to 1.
_V2_L_INPUT = {**_BICUBIC, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
EfficientNet_V2_L_Weights = published(
    "EfficientNet_V2_L_Weights",
    __name__,
    118_515_272,
    IMAGENET1K_V1=("efficientnet_v2_l-59c71312.pth", 480, 480, _V2_L_INPUT),
)

__all__ = [
    "EfficientNet",
    "EfficientNet_B0_Weights",
    "EfficientNet_B1_Weights",
    "EfficientNet_B2_Weights",
    "EfficientNet_B3_Weights",
    "EfficientNet_B4_Weights",
    "EfficientNet_B5_Weights",
    "EfficientNet_B6_Weights",
    "EfficientNet_B7_Weights",
    "EfficientNet_V2_L_Weights",
    "EfficientNet_V2_M_Weights",
    "EfficientNet_V2_S_Weights",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
]

Norm = Callable[..., nn.Module]


class _Stage(NamedTuple):
    """Expansion, kernel, first stride, widths and number of the blocks of a stage."""

    expand_ratio: int
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    fused: bool = False


_B0 = (
    _Stage(1, 3, 1, 32, 16, 1),
    _Stage(6, 3, 2, 16, 24, 2),
    _Stage(6, 5, 2, 24, 40, 2),
    _Stage(6, 3, 2, 40, 80, 3),
    _Stage(6, 5, 1, 80, 112, 3),
    _Stage(6, 5, 2, 112, 192, 4),
    _Stage(6, 3, 1, 192, 320, 1),
)
_V2_S = (
    _Stage(1, 3, 1, 24, 24, 2, fused=True),
    _Stage(4, 3, 2, 24, 48, 4, fused=True),
    _Stage(4, 3, 2, 48, 64, 4, fused=True),
    _Stage(4, 3, 2, 64, 128, 6),
    _Stage(6, 3, 1, 128, 160, 9),
    _Stage(6, 3, 2, 160, 256, 15),
)
_V2_M = (
    _Stage(1, 3, 1, 24, 24, 3, fused=True),
    _Stage(4, 3, 2, 24, 48, 5, fused=True),
    _Stage(4, 3, 2, 48, 80, 5, fused=True),
    _Stage(4, 3, 2, 80, 160, 7),
    _Stage(6, 3, 1, 160, 176, 14),
    _Stage(6, 3, 2, 176, 304, 18),
    _Stage(6, 3, 1, 304, 512, 5),
)
_V2_L = (
    _Stage(1, 3, 1, 32, 32, 4, fused=True),
    _Stage(4, 3, 2, 32, 64, 7, fused=True),
    _Stage(4, 3, 2, 64, 96, 7, fused=True),
    _Stage(4, 3, 2, 96, 192, 10),
    _Stage(6, 3, 1, 192, 224, 19),
    _Stage(6, 3, 2, 224, 384, 25),
    _Stage(6, 3, 1, 384, 640, 7),
)


class _Block(nn.Module):
    """A block and, where the shapes agree, the way around it, which is taken at random alone."""

    block: nn.Sequential

    def __init__(self, cnf: _Stage, stochastic_depth_prob: float) -> None:
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.out_channels = cnf.out_channels
        self._probability = stochastic_depth_prob

    def _finish(self, layers: list[nn.Module]) -> None:
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(self._probability, "row")

    def forward(self, input: Tensor) -> Tensor:
        """Of ``input_channels`` channels, ``out_channels``."""
        out: Tensor = self.block(input)
        return self.stochastic_depth(out) + input if self.use_res_connect else out


class MBConv(_Block):
    """Widens, convolves each channel, gates, narrows."""

    def __init__(self, cnf: _Stage, stochastic_depth_prob: float, norm_layer: Norm) -> None:
        super().__init__(cnf, stochastic_depth_prob)
        act: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": nn.SiLU}
        into = cnf.input_channels
        wide = make_divisible(into * cnf.expand_ratio)
        layers: list[nn.Module] = []
        if wide != into:
            layers.append(Conv2dNormActivation(into, wide, kernel_size=1, **act))
        layers += [
            Conv2dNormActivation(wide, wide, cnf.kernel, cnf.stride, groups=wide, **act),
            SqueezeExcitation(wide, max(1, into // 4), partial(nn.SiLU, inplace=True)),
        ]
        act["activation_layer"] = None
        layers.append(Conv2dNormActivation(wide, cnf.out_channels, kernel_size=1, **act))
        self._finish(layers)


class FusedMBConv(_Block):
    """Widens by a full convolution, then narrows."""

    def __init__(self, cnf: _Stage, stochastic_depth_prob: float, norm_layer: Norm) -> None:
        super().__init__(cnf, stochastic_depth_prob)
        act: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": nn.SiLU}
        into, out = cnf.input_channels, cnf.out_channels
        wide = make_divisible(into * cnf.expand_ratio)
        first = wide if wide != into else out
        layers: list[nn.Module] = [Conv2dNormActivation(into, first, cnf.kernel, cnf.stride, **act)]
        if wide != into:
            act["activation_layer"] = None
            layers.append(Conv2dNormActivation(wide, out, kernel_size=1, **act))
        self._finish(layers)


class EfficientNet(nn.Module):
    """Stages of blocks between two convolutions.

    Args:
        inverted_residual_setting: the stages.
        dropout: before the last layer.
        stochastic_depth_prob: that the last block is left out; earlier ones are less often.
        num_classes: width of the output.
        norm_layer: makes a normalisation of a number of channels.
        last_channel: of the last convolution; by default four times the last stage's.
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[_Stage],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Norm | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        norm_layer = norm_layer or nn.BatchNorm2d
        act: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": nn.SiLU}
        first = inverted_residual_setting[0].input_channels
        features: list[nn.Module] = [Conv2dNormActivation(3, first, stride=2, **act)]
        total = sum(cnf.num_layers for cnf in inverted_residual_setting)
        built = 0
        for cnf in inverted_residual_setting:
            kind = FusedMBConv if cnf.fused else MBConv
            stage = []
            for i in range(cnf.num_layers):
                own = cnf if i == 0 else cnf._replace(input_channels=cnf.out_channels, stride=1)
                stage.append(kind(own, stochastic_depth_prob * built / total, norm_layer))
                built += 1
            features.append(nn.Sequential(*stage))
        channels = inverted_residual_setting[-1].out_channels
        last = last_channel if last_channel is not None else 4 * channels
        features.append(Conv2dNormActivation(channels, last, kernel_size=1, **act))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout, inplace=True), nn.Linear(last, num_classes)
        )
        initialise_convolutions(self)
        for module in self.classifier.modules():
            if isinstance(module, nn.Linear):
                bound = 1.0 / math.sqrt(module.out_features)
                nn.init.uniform_(module.weight, -bound, bound)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N, num_classes)`` of images ``(N, 3, H, W)``."""
        scores: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return scores


def _scaled(width: float, depth: float, dropout: float, **kwargs: Any) -> EfficientNet:
    """EfficientNet-B0's stages, wider and deeper."""
    stages = [
        cnf._replace(
            input_channels=make_divisible(cnf.input_channels * width),
            out_channels=make_divisible(cnf.out_channels * width),
            num_layers=math.ceil(cnf.num_layers * depth),
        )
        for cnf in _B0
    ]
    return EfficientNet(stages, kwargs.pop("dropout", dropout), **kwargs)


def _second(stages: Sequence[_Stage], dropout: float, **kwargs: Any) -> EfficientNet:
    kwargs.setdefault("norm_layer", partial(nn.BatchNorm2d, eps=1e-03))
    return EfficientNet(stages, kwargs.pop("dropout", dropout), last_channel=1280, **kwargs)


# From B5 on the weights were trained with these settings of the normalisation.
_OWN_NORM = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)


@register(EfficientNet_B0_Weights)
def efficientnet_b0(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B0."""
    return _scaled(1.0, 1.0, 0.2, **kwargs)


@register(EfficientNet_B1_Weights)
def efficientnet_b1(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B1."""
    return _scaled(1.0, 1.1, 0.2, **kwargs)


@register(EfficientNet_B2_Weights)
def efficientnet_b2(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B2."""
    return _scaled(1.1, 1.2, 0.3, **kwargs)


@register(EfficientNet_B3_Weights)
def efficientnet_b3(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B3."""
    return _scaled(1.2, 1.4, 0.3, **kwargs)


@register(EfficientNet_B4_Weights)
def efficientnet_b4(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B4."""
    return _scaled(1.4, 1.8, 0.4, **kwargs)


@register(EfficientNet_B5_Weights)
def efficientnet_b5(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B5."""
    kwargs.setdefault("norm_layer", _OWN_NORM)
    return _scaled(1.6, 2.2, 0.4, **kwargs)


@register(EfficientNet_B6_Weights)
def efficientnet_b6(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B6."""
    kwargs.setdefault("norm_layer", _OWN_NORM)
    return _scaled(1.8, 2.6, 0.5, **kwargs)


@register(EfficientNet_B7_Weights)
def efficientnet_b7(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B7."""
    kwargs.setdefault("norm_layer", _OWN_NORM)
    return _scaled(2.0, 3.1, 0.5, **kwargs)


@register(EfficientNet_V2_S_Weights)
def efficientnet_v2_s(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2-S."""
    return _second(_V2_S, 0.2, **kwargs)


@register(EfficientNet_V2_M_Weights)
def efficientnet_v2_m(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2-M."""
    return _second(_V2_M, 0.3, **kwargs)


@register(EfficientNet_V2_L_Weights)
def efficientnet_v2_l(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2-L."""
    return _second(_V2_L, 0.4, **kwargs)
