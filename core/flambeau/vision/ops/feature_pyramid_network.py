"""Feature pyramids: maps of several resolutions with the same channels (Lin et al., 2017)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from flambeau import nn
from flambeau.nn import functional as F
from flambeau.tensor import Tensor
from flambeau.vision.ops.misc import Conv2dNormActivation


class ExtraFPNBlock(nn.Module):
    """Base of what adds maps to a pyramid."""

    def forward(
        self, results: list[Tensor], x: list[Tensor], names: list[str], /
    ) -> tuple[list[Tensor], list[str]]:
        """The maps and their names, extended.

        Args:
            results: the maps of the pyramid.
            x: what the pyramid was made of.
            names: of the maps.
        """
        raise NotImplementedError


class FeaturePyramidNetwork(nn.Module):
    """Adds to every map what the coarser ones know.

    Args:
        in_channels_list: channels of the maps, the finest first.
        out_channels: channels of all results.
        extra_blocks: makes further maps.
        norm_layer: after each convolution, instead of its bias.

    Raises:
        ValueError: a map of 0 channels.
    """

    def __init__(
        self,
        in_channels_list: list[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if 0 in in_channels_list:
            raise ValueError("in_channels=0 is currently not supported")
        self.inner_blocks = nn.ModuleList(
            _convolution(channels, out_channels, 1, norm_layer) for channels in in_channels_list
        )
        self.layer_blocks = nn.ModuleList(
            _convolution(out_channels, out_channels, 3, norm_layer) for _ in in_channels_list
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.constant_(module.bias, 0)
        if extra_blocks is not None and not isinstance(extra_blocks, ExtraFPNBlock):
            raise TypeError(
                f"extra_blocks should be of type ExtraFPNBlock not {type(extra_blocks)}"
            )
        self.extra_blocks = extra_blocks

    def forward(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        """Maps under the same names, of ``out_channels`` each; the order is kept.

        Args:
            x: maps by name, the finest first.
        """
        names, maps = list(x), list(x.values())
        inner = self.inner_blocks[-1](maps[-1])
        results = [self.layer_blocks[-1](inner)]
        for level in reversed(range(len(maps) - 1)):
            own = self.inner_blocks[level](maps[level])
            inner = own + F.interpolate(inner, size=own.shape[-2:], mode="nearest")
            results.insert(0, self.layer_blocks[level](inner))
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return OrderedDict(zip(names, results, strict=True))


def _convolution(
    channels: int,
    out_channels: int,
    kernel_size: int,
    norm_layer: Callable[..., nn.Module] | None,
) -> nn.Module:
    return Conv2dNormActivation(
        channels,
        out_channels,
        kernel_size=kernel_size,
        padding=kernel_size // 2,
        norm_layer=norm_layer,
        activation_layer=None,
    )


class LastLevelMaxPool(ExtraFPNBlock):
    """Adds every second pixel of the coarsest map, as ``pool``."""

    def forward(
        self, x: list[Tensor], y: list[Tensor], names: list[str]
    ) -> tuple[list[Tensor], list[str]]:
        """See ``ExtraFPNBlock``."""
        return [*x, F.max_pool2d(x[-1], kernel_size=1, stride=2, padding=0)], [*names, "pool"]


class LastLevelP6P7(ExtraFPNBlock):
    """Adds two coarser maps, ``p6`` and ``p7``, by convolutions (RetinaNet)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, 2, 1)
        for module in (self.p6, self.p7):
            nn.init.kaiming_uniform_(module.weight, a=1)
            assert module.bias is not None
            nn.init.constant_(module.bias, 0)
        self.use_P5 = in_channels == out_channels

    def forward(
        self, p: list[Tensor], c: list[Tensor], names: list[str]
    ) -> tuple[list[Tensor], list[str]]:
        """See ``ExtraFPNBlock``."""
        p6 = self.p6((p if self.use_P5 else c)[-1])
        return [*p, p6, self.p7(F.relu(p6))], [*names, "p6", "p7"]
