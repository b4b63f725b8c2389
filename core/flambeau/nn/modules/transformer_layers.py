"""The layers that transformers are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.nn import functional as F
from flambeau.nn.modules.attention import MultiheadAttention
from flambeau.nn.modules.dropout import Dropout
from flambeau.nn.modules.linear import Linear
from flambeau.nn.modules.module import Module
from flambeau.nn.modules.normalization import LayerNorm
from flambeau.tensor import Tensor

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]

Activation = str | Callable[[Tensor], Tensor]


def _get_activation_fn(activation: str) -> Callable[[Tensor], Tensor]:
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return F.relu if activation == "relu" else F.gelu


def canonical_masks(
    query: Tensor, padding: Tensor | None, padding_name: str, mask: Tensor | None, mask_name: str
) -> tuple[Tensor | None, Tensor | None]:
    """Both masks as numbers to add."""
    other = None if mask is None else mask.dtype
    return (
        F._canonical_mask(padding, padding_name, other, mask_name, query.dtype),
        F._canonical_mask(mask, mask_name, None, "", query.dtype, False))


class _Layer(Module):
    """What both layers share: the feed-forward network and the order of normalisation.

    Args:
        d_model: size of the features.
        nhead: number of heads.
        dim_feedforward: size of the hidden layer.
        dropout: after every part, and on attention weights.
        activation: "relu", "gelu" or a function.
        layer_norm_eps: added to variances.
        batch_first: shapes are (N, L, E) in place of (L, N, E).
        norm_first: normalise before each part in place of after it.
        bias: of all linear layers and norms.
    """

    _attentions: tuple[str, ...]

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Activation = "relu", layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__()
        place = {"device": device, "dtype": dtype}
        for name in self._attentions:
            setattr(self, name, MultiheadAttention(
                d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **place))
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **place)
        self.norm_first = norm_first
        parts = range(1, len(self._attentions) + 2)
        for i in parts:
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, **place))
        for i in parts:
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = (
            _get_activation_fn(activation) if isinstance(activation, str) else activation)

    def _part(self, x: Tensor, i: int, block: Callable[[Tensor], Tensor]) -> Tensor:
        """``x`` plus part number ``i`` of it, normalised before or after."""
        norm, dropout = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
        if self.norm_first:
            return x + dropout(block(norm(x)))  # type: ignore[no-any-return]
        return norm(x + dropout(block(x)))  # type: ignore[no-any-return]

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))  # type: ignore[no-any-return]


class TransformerEncoderLayer(_Layer):
    """Self-attention and a feed-forward network."""

    _attentions = ("self_attn",)

    def forward(
        self, src: Tensor, src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None, is_causal: bool = False,
    ) -> Tensor:
        """Encode sequences; masks as those of ``MultiheadAttention``."""
        padding, mask = canonical_masks(
            src, src_key_padding_mask, "src_key_padding_mask", src_mask, "src_mask")

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(  # type: ignore[no-any-return]
                x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=False,
                is_causal=is_causal)[0]

        return self._part(self._part(src, 1, attend), 2, self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the memory, and a feed-forward network."""

    _attentions = ("self_attn", "multihead_attn")

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None, tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Decode sequences, attending to ``memory``, what an encoder made."""

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(  # type: ignore[no-any-return]
                x, x, x, attn_mask=tgt_mask, key_padding_mask=tgt_key_padding_mask,
                need_weights=False, is_causal=tgt_is_causal)[0]

        def remember(x: Tensor) -> Tensor:
            return self.multihead_attn(  # type: ignore[no-any-return]
                x, memory, memory, attn_mask=memory_mask,
                key_padding_mask=memory_key_padding_mask, need_weights=False,
                is_causal=memory_is_causal)[0]

        x = self._part(self._part(tgt, 1, attend), 2, remember)
        return self._part(x, 3, self._feed_forward)
