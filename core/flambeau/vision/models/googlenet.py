"""GoogLeNet: convolutions of several sizes side by side (Szegedy et al. 2014).

Batch normalisation follows each convolution, and the paper's 5x5 convolutions are of 3x3, as in
the published weights.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F
from flambeau.tensor import Tensor
from flambeau.vision.models._api import published, register

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "GoogLeNet_Weights", "googlenet"]

GoogLeNet_Weights = published(
    "GoogLeNet_Weights", __name__, 6_624_904, IMAGENET1K_V1=("googlenet-1378be20.pth", 256, 224)
)


class GoogLeNetOutputs(NamedTuple):
    """Scores of the network and of its two auxiliary classifiers, the later one first."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class BasicConv2d(nn.Module):
    """A convolution, batch normalisation and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Of ``in_channels`` channels, ``out_channels``."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Four branches: a 1x1, two 3x3 convolutions, and a pooling."""

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, ch3x3red, kernel_size=1),
            BasicConv2d(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, ch5x5red, kernel_size=1),
            BasicConv2d(ch5x5red, ch5x5, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            BasicConv2d(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The branches' channels, one after the other."""
        return fb.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(nn.Module):
    """A classifier of features from the middle, which helps training."""

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.7) -> None:
        super().__init__()
        self.conv = BasicConv2d(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N, num_classes)``."""
        x = self.conv(F.adaptive_avg_pool2d(x, (4, 4))).flatten(1)
        scores: Tensor = self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))
        return scores


class GoogLeNet(nn.Module):
    """Nine inception modules.

    Args:
        num_classes: width of the output.
        aux_logits: with auxiliary classifiers, whose scores come with the others in training.
        transform_input: take inputs normalised by ImageNet's statistics; within it is [-1, 1].
        init_weights: draw from truncated normals, which takes time.
        dropout: before the last layer.
        dropout_aux: in the auxiliary classifiers.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool | None = None,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        if init_weights is None:
            warnings.warn(
                "GoogLeNet will not draw its weights from truncated normals by default in a future "
                "version of torchvision; init_weights=True asks for it.",
                FutureWarning,
                stacklevel=2,
            )
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.conv1 = BasicConv2d(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, kernel_size=1)
        self.conv3 = BasicConv2d(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = InceptionAux(512, num_classes, dropout_aux) if aux_logits else None
        self.aux2 = InceptionAux(528, num_classes, dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights or init_weights is None:
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.trunc_normal_(module.weight, mean=0.0, std=0.01, a=-2, b=2)

    def _transform(self, x: Tensor) -> Tensor:
        if not self.transform_input:
            return x
        std = fb.tensor([0.229, 0.224, 0.225], dtype=x.dtype, device=x.device) / 0.5
        mean = (fb.tensor([0.485, 0.456, 0.406], dtype=x.dtype, device=x.device) - 0.5) / 0.5
        return x * std.view(-1, 1, 1) + mean.view(-1, 1, 1)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        """Scores of images ``(N, 3, H, W)``: ``(N, num_classes)``, or in training all three."""
        helping = self.training and self.aux_logits
        x = self.conv3(self.conv2(self.maxpool1(self.conv1(self._transform(x)))))
        x = self.maxpool3(self.inception3b(self.inception3a(self.maxpool2(x))))
        x = self.inception4a(x)
        first = self.aux1(x) if helping and self.aux1 is not None else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        second = self.aux2(x) if helping and self.aux2 is not None else None
        x = self.inception5b(self.inception5a(self.maxpool4(self.inception4e(x))))
        scores: Tensor = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return GoogLeNetOutputs(scores, second, first) if helping else scores


@register(
    GoogLeNet_Weights,
    loading={"transform_input": True, "aux_logits": False, "init_weights": False},
    optional=("aux1", "aux2"),
)
def googlenet(**kwargs: Any) -> GoogLeNet:
    """GoogLeNet; with weights it has no auxiliary classifiers unless asked for."""
    return GoogLeNet(**kwargs)
