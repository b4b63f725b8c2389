"""ConvNeXt: a convolutional network in the manner of a transformer (Liu et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F
from flambeau.tensor import Tensor
from flambeau.vision.models._api import published, register
from flambeau.vision.ops.misc import Conv2dNormActivation, Permute, StochasticDepth

__all__ = [
    "ConvNeXt",
    "ConvNeXt_Base_Weights",
    "ConvNeXt_Large_Weights",
    "ConvNeXt_Small_Weights",
    "ConvNeXt_Tiny_Weights",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
]

ConvNeXt_Tiny_Weights = published(
    "ConvNeXt_Tiny_Weights",
    __name__,
    28_589_128,
    IMAGENET1K_V1=("convnext_tiny-983f1562.pth", 236, 224),
)
ConvNeXt_Small_Weights = published(
    "ConvNeXt_Small_Weights",
    __name__,
    50_223_688,
    IMAGENET1K_V1=("convnext_small-0c510722.pth", 230, 224),
)
ConvNeXt_Base_Weights = published(
    "ConvNeXt_Base_Weights",
    __name__,
    88_591_464,
    IMAGENET1K_V1=("convnext_base-6075fbad.pth", 232, 224),
)
ConvNeXt_Large_Weights = published(
    "ConvNeXt_Large_Weights",
    __name__,
    197_767_336,
    IMAGENET1K_V1=("convnext_large-ea097f82.pth", 232, 224),
)

Norm = Callable[..., nn.Module]


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation of each pixel's channels."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``(N, C, H, W)`` over ``C``."""
        last = input.permute(0, 2, 3, 1)
        normal = F.layer_norm(last, self.normalized_shape, self.weight, self.bias, self.eps)
        return normal.permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """A 7x7 convolution of each channel, then two linear layers of each pixel."""

    def __init__(
        self,
        dim: int,
        layer_scale: float,
        stochastic_depth_prob: float,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim, bias=True),
            Permute([0, 2, 3, 1]),
            norm_layer(dim),
            nn.Linear(in_features=dim, out_features=4 * dim, bias=True),
            nn.GELU(),
            nn.Linear(in_features=4 * dim, out_features=dim, bias=True),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(fb.ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: Tensor) -> Tensor:
        """``(N, dim, H, W)`` of the same."""
        out: Tensor = self.stochastic_depth(self.layer_scale * self.block(input))
        return out + input


class ConvNeXt(nn.Module):
    """Stages of blocks, each but the last followed by a halving of the size.

    Args:
        block_setting: of each stage the width, and the number of blocks.
        stochastic_depth_prob: that the last block is left out; earlier ones are less often.
        layer_scale: first value of the blocks' scale.
        num_classes: width of the output.
        norm_layer: makes a normalisation of the channels of ``(N, C, H, W)``.
    """

    def __init__(
        self,
        block_setting: Sequence[tuple[int, int]],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        if not block_setting:
            raise ValueError("The block_setting should not be empty")
        norm_layer = norm_layer or partial(LayerNorm2d, eps=1e-6)
        first = block_setting[0][0]
        features: list[nn.Module] = [
            Conv2dNormActivation(3, first, 4, 4, 0, 1, norm_layer, None, bias=True)
        ]
        total = sum(blocks for _, blocks in block_setting)
        built = 0
        for i, (width, blocks) in enumerate(block_setting):
            stage = []
            for _ in range(blocks):
                probability = stochastic_depth_prob * built / max(total - 1.0, 1.0)
                stage.append(CNBlock(width, layer_scale, probability))
                built += 1
            features.append(nn.Sequential(*stage))
            if i + 1 < len(block_setting):
                halving = nn.Conv2d(width, block_setting[i + 1][0], kernel_size=2, stride=2)
                features.append(nn.Sequential(norm_layer(width), halving))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        last = block_setting[-1][0]
        self.classifier = nn.Sequential(
            norm_layer(last), nn.Flatten(1), nn.Linear(last, num_classes)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N, num_classes)`` of images ``(N, 3, H, W)``."""
        scores: Tensor = self.classifier(self.avgpool(self.features(x)))
        return scores


def _convnext(width: int, deep: int, drop: float, **kwargs: Any) -> ConvNeXt:
    """Four stages, each twice as wide as the one before; ``deep`` blocks in the third."""
    setting = [(width, 3), (2 * width, 3), (4 * width, deep), (8 * width, 3)]
    return ConvNeXt(setting, kwargs.pop("stochastic_depth_prob", drop), **kwargs)


@register(ConvNeXt_Tiny_Weights)
def convnext_tiny(**kwargs: Any) -> ConvNeXt:
    """ConvNeXt, tiny."""
    return _convnext(96, 9, 0.1, **kwargs)


@register(ConvNeXt_Small_Weights)
def convnext_small(**kwargs: Any) -> ConvNeXt:
    """ConvNeXt, small."""
    return _convnext(96, 27, 0.4, **kwargs)


@register(ConvNeXt_Base_Weights)
def convnext_base(**kwargs: Any) -> ConvNeXt:
    """ConvNeXt, base."""
    return _convnext(128, 27, 0.5, **kwargs)


@register(ConvNeXt_Large_Weights)
def convnext_large(**kwargs: Any) -> ConvNeXt:
    """ConvNeXt, large."""
    return _convnext(192, 27, 0.5, **kwargs)
