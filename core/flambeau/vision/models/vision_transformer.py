"""The vision transformer: patches of an image as words (Dosovitskiy et al. 2020)."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.tensor import Tensor
from flambeau.vision.models._api import published, register
from flambeau.vision.ops.misc import MLP

__all__ = [
    "ViT_B_16_Weights",
    "ViT_B_32_Weights",
    "ViT_L_16_Weights",
    "ViT_L_32_Weights",
    "VisionTransformer",
    "vit_b_16",
    "vit_b_32",
    "vit_l_16",
    "vit_l_32",
]

ViT_B_16_Weights = published(
    "ViT_B_16_Weights", __name__, 86_567_656, IMAGENET1K_V1=("vit_b_16-c867db91.pth", 256, 224)
)
ViT_B_32_Weights = published(
    "ViT_B_32_Weights", __name__, 88_224_232, IMAGENET1K_V1=("vit_b_32-d86f8d99.pth", 256, 224)
)
ViT_L_16_Weights = published(
    "ViT_L_16_Weights", __name__, 304_326_632, IMAGENET1K_V1=("vit_l_16-852ce7e3.pth", 242, 224)
)
ViT_L_32_Weights = published(
    "ViT_L_32_Weights", __name__, 306_535_400, IMAGENET1K_V1=("vit_l_32-c7638314.pth", 256, 224)
)

Norm = Callable[..., nn.Module]
_NORM: Norm = partial(nn.LayerNorm, eps=1e-6)


class MLPBlock(MLP):
    """Two linear layers with GELU between."""

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__(in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, dropout=dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=1e-6)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # The published files are of a time when the layers had names.
        for old, new in (("linear_1", "0"), ("linear_2", "3")):
            for kind in ("weight", "bias"):
                if f"{prefix}{old}.{kind}" in state_dict:
                    state_dict[f"{prefix}{new}.{kind}"] = state_dict.pop(f"{prefix}{old}.{kind}")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class EncoderBlock(nn.Module):
    """Attention and two linear layers, each after a normalisation and with a way around."""

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Norm,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(
            hidden_dim, num_heads, dropout=attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input: Tensor) -> Tensor:
        """``(N, length, hidden_dim)`` of the same."""
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class Encoder(nn.Module):
    """Learnt positions, blocks and a normalisation."""

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Norm,
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(fb.empty(1, seq_length, hidden_dim).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(num_layers):
            layers[f"encoder_layer_{i}"] = EncoderBlock(
                num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer
            )
        self.layers = nn.Sequential(layers)
        self.ln = norm_layer(hidden_dim)

    def forward(self, input: Tensor) -> Tensor:
        """``(N, seq_length, hidden_dim)`` of the same."""
        out: Tensor = self.ln(self.layers(self.dropout(input + self.pos_embedding)))
        return out


class VisionTransformer(nn.Module):
    """An encoder over patches and a token for the class.

    Args:
        image_size: side of the images, in pixels.
        patch_size: side of the patches, in pixels.
        num_layers: blocks of the encoder.
        num_heads: of the attention.
        hidden_dim: width of a patch.
        mlp_dim: width between the linear layers.
        dropout: after each layer.
        attention_dropout: of the attention's weights.
        num_classes: width of the output.
        representation_size: width of a further layer before the output, with tanh.
        norm_layer: makes a normalisation of a width.

    Raises:
        ValueError: the patches do not tile the image.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: Norm = _NORM,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ValueError(
                f"Input shape indivisible by patch size: {image_size} pixels, patches of "
                f"{patch_size}"
            )
        self.image_size, self.patch_size, self.hidden_dim = image_size, patch_size, hidden_dim
        self.conv_proj = nn.Conv2d(3, hidden_dim, kernel_size=patch_size, stride=patch_size)
        self.class_token = nn.Parameter(fb.zeros(1, 1, hidden_dim))
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            self.seq_length,
            num_layers,
            num_heads,
            hidden_dim,
            mlp_dim,
            dropout,
            attention_dropout,
            norm_layer,
        )
        heads: OrderedDict[str, nn.Module] = OrderedDict()
        if representation_size is not None:
            heads["pre_logits"] = nn.Linear(hidden_dim, representation_size)
            heads["act"] = nn.Tanh()
        heads["head"] = nn.Linear(representation_size or hidden_dim, num_classes)
        self.heads = nn.Sequential(heads)
        self._initialise()

    def _initialise(self) -> None:
        convolution = self.conv_proj
        fan_in = convolution.in_channels * self.patch_size**2
        nn.init.trunc_normal_(convolution.weight, std=math.sqrt(1 / fan_in))
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
        for name, layer in self.heads.named_children():
            if not isinstance(layer, nn.Linear):
                continue
            if name == "pre_logits":
                nn.init.trunc_normal_(layer.weight, std=math.sqrt(1 / layer.in_features))
            else:
                nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N, num_classes)`` of images ``(N, 3, image_size, image_size)``.

        Raises:
            ValueError: for images of another size.
        """
        batch, _, height, width = x.shape
        if (height, width) != (self.image_size, self.image_size):
            raise ValueError(
                f"Wrong image size! Expected {self.image_size} x {self.image_size} "
                f"but got {height} x {width}"
            )
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)
        words = fb.cat([self.class_token.expand(batch, -1, -1), patches], dim=1)
        scores: Tensor = self.heads(self.encoder(words)[:, 0])
        return scores


def _vit(
    patch: int, layers: int, heads: int, hidden: int, wide: int, **kwargs: Any
) -> VisionTransformer:
    image_size = kwargs.pop("image_size", 224)
    return VisionTransformer(image_size, patch, layers, heads, hidden, wide, **kwargs)


@register(ViT_B_16_Weights)
def vit_b_16(**kwargs: Any) -> VisionTransformer:
    """The base size with patches of 16 pixels."""
    return _vit(16, 12, 12, 768, 3072, **kwargs)


@register(ViT_B_32_Weights)
def vit_b_32(**kwargs: Any) -> VisionTransformer:
    """The base size with patches of 32 pixels."""
    return _vit(32, 12, 12, 768, 3072, **kwargs)


@register(ViT_L_16_Weights)
def vit_l_16(**kwargs: Any) -> VisionTransformer:
    """The large size with patches of 16 pixels."""
    return _vit(16, 24, 16, 1024, 4096, **kwargs)


@register(ViT_L_32_Weights)
def vit_l_32(**kwargs: Any) -> VisionTransformer:
    """The large size with patches of 32 pixels."""
    return _vit(32, 24, 16, 1024, 4096, **kwargs)
