"""Multi-head attention."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.nn import functional as F
from flambeau.nn import init
from flambeau.nn.modules.linear import NonDynamicallyQuantizableLinear
from flambeau.nn.modules.module import Module
from flambeau.nn.parameter import Parameter
from flambeau.tensor import Tensor

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Attention in several heads (https://arxiv.org/abs/1706.03762).

    ``in_proj_weight`` (3 * embed_dim, embed_dim) projects queries, keys and values; with
    ``kdim`` or ``vdim`` there are ``q_proj_weight``, ``k_proj_weight``, ``v_proj_weight``.

    Args:
        embed_dim: size of queries and results, divided among the heads.
        dropout: on the attention weights, in training.
        bias: of the projections.
        add_bias_kv: a learned key and value behind all others.
        add_zero_attn: a key and value of zeros behind all others.
        kdim, vdim: sizes of keys and values, ``embed_dim`` by default.
        batch_first: shapes are (N, L, E) in place of (L, N, E).
    """

    in_proj_weight: Any
    in_proj_bias: Any
    q_proj_weight: Any
    k_proj_weight: Any
    v_proj_weight: Any
    bias_k: Any
    bias_v: Any

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
        add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: int | None = None,
        vdim: int | None = None, batch_first: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and "
                f"num_heads={num_heads} instead")
        super().__init__()
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.dropout, self.batch_first = dropout, batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")

        def empty(*shape: int) -> Parameter:
            return Parameter(fb.empty(shape, device=device, dtype=dtype))

        shapes = {
            "q": (embed_dim, embed_dim), "k": (embed_dim, self.kdim), "v": (embed_dim, self.vdim)}
        together = self._qkv_same_embed_dim
        if together:
            self.in_proj_weight = empty(3 * embed_dim, embed_dim)
        for name, shape in shapes.items():
            self.register_parameter(f"{name}_proj_weight", None if together else empty(*shape))
        if not together:
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", empty(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(
            embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.bias_k = empty(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v = empty(1, 1, embed_dim) if add_bias_kv else None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draw the parameters anew; that of the output projection was drawn with its layer."""
        if self._qkv_same_embed_dim:
            init.xavier_uniform_(self.in_proj_weight)
        else:
            init.xavier_uniform_(self.q_proj_weight)
            init.xavier_uniform_(self.k_proj_weight)
            init.xavier_uniform_(self.v_proj_weight)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            assert self.out_proj.bias is not None
            init.constant_(self.out_proj.bias, 0.0)
        if self.bias_k is not None:
            init.xavier_normal_(self.bias_k)
            init.xavier_normal_(self.bias_v)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None,
        average_attn_weights: bool = True, is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            query: (L, N, E), (N, L, E) if ``batch_first``, or (L, E).
            key, value: the same with length S and sizes ``kdim``, ``vdim``.
            key_padding_mask: (N, S) or (S): True, or a number to add, for keys to leave out.
            need_weights: return the weights; without it a fused kernel can be used.
            attn_mask: (L, S) or (N * heads, L, S): True for pairs to leave out, or numbers to add.
            average_attn_weights: over the heads.
            is_causal: a hint that ``attn_mask`` is the causal one.

        Returns:
            the result, shaped as the query, and the weights (N, L, S), per head
            (N, heads, L, S), or None.
        """
        swap = self.batch_first and query.dim() == 3
        if swap:
            query, key, value = _swapped(query, key, value)
        out, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight,
            self.in_proj_bias, self.bias_k, self.bias_v, self.add_zero_attn, self.dropout,
            self.out_proj.weight, self.out_proj.bias, training=self.training,
            key_padding_mask=key_padding_mask, need_weights=need_weights, attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight, k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight, average_attn_weights=average_attn_weights,
            is_causal=is_causal)
        return (out.transpose(0, 1) if swap else out), weights


def _swapped(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Length first; tensors that are the same object stay so, which saves projections."""
    made = {id(t): t.transpose(0, 1) for t in (query, key, value)}
    return made[id(query)], made[id(key)], made[id(value)]
