"""ResNet (He et al. 2015), ResNeXt (Xie et al. 2016) and Wide ResNet (Zagoruyko et al. 2016).

The stride of a bottleneck is that of its 3x3 convolution, which is more exact than the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flambeau import nn
from flambeau.tensor import Tensor
from flambeau.vision.models._api import published, register
from flambeau.vision.models._utils import initialise_convolutions

__all__ = [
    "ResNeXt50_32X4D_Weights",
    "ResNeXt101_32X8D_Weights",
    "ResNeXt101_64X4D_Weights",
    "ResNet",
    "ResNet18_Weights",
    "ResNet34_Weights",
    "ResNet50_Weights",
    "ResNet101_Weights",
    "ResNet152_Weights",
    "Wide_ResNet50_2_Weights",
    "Wide_ResNet101_2_Weights",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]

ResNet18_Weights = published(
    "ResNet18_Weights",
    __name__,
    11_689_512,
    IMAGENET1K_V1=("resnet18-f37072fd.pth", 256, 224),
)
ResNet34_Weights = published(
    "ResNet34_Weights",
    __name__,
    21_797_672,
    IMAGENET1K_V1=("resnet34-b627a593.pth", 256, 224),
)
ResNet50_Weights = published(
    "ResNet50_Weights",
    __name__,
    25_557_032,
    IMAGENET1K_V1=("resnet50-0676ba61.pth", 256, 224),
    IMAGENET1K_V2=("resnet50-11ad3fa6.pth", 232, 224),
)
ResNet101_Weights = published(
    "ResNet101_Weights",
    __name__,
    44_549_160,
    IMAGENET1K_V1=("resnet101-63fe2227.pth", 256, 224),
    IMAGENET1K_V2=("resnet101-cd907fc2.pth", 232, 224),
)
ResNet152_Weights = published(
    "ResNet152_Weights",
    __name__,
    60_192_808,
    IMAGENET1K_V1=("resnet152-394f9c45.pth", 256, 224),
    IMAGENET1K_V2=("resnet152-f82ba261.pth", 232, 224),
)
ResNeXt50_32X4D_Weights = published(
    "ResNeXt50_32X4D_Weights",
    __name__,
    25_028_904,
    IMAGENET1K_V1=("resnext50_32x4d-7cdf4587.pth", 256, 224),
    IMAGENET1K_V2=("resnext50_32x4d-1a0047aa.pth", 232, 224),
)
ResNeXt101_32X8D_Weights = published(
    "ResNeXt101_32X8D_Weights",
    __name__,
    88_791_336,
    IMAGENET1K_V1=("resnext101_32x8d-8ba56ff5.pth", 256, 224),
    IMAGENET1K_V2=("resnext101_32x8d-110c445d.pth", 232, 224),
)
ResNeXt101_64X4D_Weights = published(
    "ResNeXt101_64X4D_Weights",
    __name__,
    83_455_272,
    IMAGENET1K_V1=("resnext101_64x4d-173b62eb.pth", 232, 224),
)
Wide_ResNet50_2_Weights = published(
    "Wide_ResNet50_2_Weights",
    __name__,
    68_883_240,
    IMAGENET1K_V1=("wide_resnet50_2-95faca4d.pth", 256, 224),
    IMAGENET1K_V2=("wide_resnet50_2-9ba9bcbe.pth", 232, 224),
)
Wide_ResNet101_2_Weights = published(
    "Wide_ResNet101_2_Weights",
    __name__,
    126_886_696,
    IMAGENET1K_V1=("wide_resnet101_2-32ee1156.pth", 256, 224),
    IMAGENET1K_V2=("wide_resnet101_2-d733dc28.pth", 232, 224),
)

Norm = Callable[..., nn.Module]


def conv3x3(
    in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size at stride 1."""
    return nn.Conv2d(
        in_planes, out_planes, 3, stride, dilation, dilation=dilation, groups=groups, bias=False
    )


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution."""
    return nn.Conv2d(in_planes, out_planes, kernel_size=1, stride=stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the way around them."""

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock only supports groups=1 and base_width=64")
        if dilation > 1:
            raise NotImplementedError("Dilation > 1 not supported in BasicBlock")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Of ``inplanes`` channels, ``planes``."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(out)
        return result


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, and the way around them."""

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Of ``inplanes`` channels, ``4 * planes``."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(out)
        return result


class ResNet(nn.Module):
    """Four stages of residual blocks.

    Args:
        block: of which class they are.
        layers: how many there are in each stage.
        num_classes: width of the output.
        zero_init_residual: blocks begin as the identity.
        groups: of the 3x3 convolutions of bottlenecks.
        width_per_group: of these, in the first stage.
        replace_stride_with_dilation: of the last three stages, whether they keep the size and
            dilate instead.
        norm_layer: makes a normalisation of a number of channels.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.inplanes = 64
        self.dilation = 1
        dilate = replace_stride_with_dilation or (False, False, False)
        if len(dilate) != 3:
            raise ValueError(
                "replace_stride_with_dilation should be None "
                f"or a 3-element tuple, got {replace_stride_with_dilation}"
            )
        self.groups = groups
        self.base_width = width_per_group
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], 2, dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], 2, dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], 2, dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        initialise_convolutions(self)
        if zero_init_residual:
            self._make_blocks_identities()

    def _make_blocks_identities(self) -> None:
        for module in self.modules():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)
            elif isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)

    def _make_layer(
        self,
        block: type[BasicBlock | Bottleneck],
        planes: int,
        blocks: int,
        stride: int = 1,
        dilate: bool = False,
    ) -> nn.Sequential:
        first_dilation = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        width = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != width:
            downsample = nn.Sequential(
                conv1x1(self.inplanes, width, stride), self._norm_layer(width)
            )
        shared = (self.groups, self.base_width)
        stage: list[nn.Module] = [
            block(
                self.inplanes, planes, stride, downsample, *shared, first_dilation, self._norm_layer
            )
        ]
        self.inplanes = width
        stage += [
            block(width, planes, 1, None, *shared, self.dilation, self._norm_layer)
            for _ in range(1, blocks)
        ]
        return nn.Sequential(*stage)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N, num_classes)`` of images ``(N, 3, H, W)``."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        scores: Tensor = self.fc(self.avgpool(x).flatten(1))
        return scores


@register(ResNet18_Weights)
def resnet18(**kwargs: Any) -> ResNet:
    """ResNet-18."""
    return ResNet(BasicBlock, (2, 2, 2, 2), **kwargs)


@register(ResNet34_Weights)
def resnet34(**kwargs: Any) -> ResNet:
    """ResNet-34."""
    return ResNet(BasicBlock, (3, 4, 6, 3), **kwargs)


@register(ResNet50_Weights)
def resnet50(**kwargs: Any) -> ResNet:
    """ResNet-50."""
    return ResNet(Bottleneck, (3, 4, 6, 3), **kwargs)


@register(ResNet101_Weights)
def resnet101(**kwargs: Any) -> ResNet:
    """ResNet-101."""
    return ResNet(Bottleneck, (3, 4, 23, 3), **kwargs)


@register(ResNet152_Weights)
def resnet152(**kwargs: Any) -> ResNet:
    """ResNet-152."""
    return ResNet(Bottleneck, (3, 8, 36, 3), **kwargs)


@register(ResNeXt50_32X4D_Weights)
def resnext50_32x4d(**kwargs: Any) -> ResNet:
    """ResNeXt-50, 32 groups of 4 channels."""
    kwargs.setdefault("groups", 32)
    kwargs.setdefault("width_per_group", 4)
    return ResNet(Bottleneck, (3, 4, 6, 3), **kwargs)


@register(ResNeXt101_32X8D_Weights)
def resnext101_32x8d(**kwargs: Any) -> ResNet:
    """ResNeXt-101, 32 groups of 8 channels."""
    kwargs.setdefault("groups", 32)
    kwargs.setdefault("width_per_group", 8)
    return ResNet(Bottleneck, (3, 4, 23, 3), **kwargs)


@register(ResNeXt101_64X4D_Weights)
def resnext101_64x4d(**kwargs: Any) -> ResNet:
    """ResNeXt-101, 64 groups of 4 channels."""
    kwargs.setdefault("groups", 64)
    kwargs.setdefault("width_per_group", 4)
    return ResNet(Bottleneck, (3, 4, 23, 3), **kwargs)


@register(Wide_ResNet50_2_Weights)
def wide_resnet50_2(**kwargs: Any) -> ResNet:
    """ResNet-50, bottlenecks twice as wide."""
    kwargs.setdefault("width_per_group", 128)
    return ResNet(Bottleneck, (3, 4, 6, 3), **kwargs)


@register(Wide_ResNet101_2_Weights)
def wide_resnet101_2(**kwargs: Any) -> ResNet:
    """ResNet-101, bottlenecks twice as wide."""
    kwargs.setdefault("width_per_group", 128)
    return ResNet(Bottleneck, (3, 4, 23, 3), **kwargs)
