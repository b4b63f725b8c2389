"""Nested tensors: batches of tensors of different sizes.  PyTorch's ``torch.nested``."""

from __future__ import annotations

from flambeau.nested import ops as ops
from flambeau.nested.construct import (
    as_nested_tensor,
    masked_select,
    narrow,
    nested_tensor,
    nested_tensor_from_jagged,
    to_padded_tensor,
)
from flambeau.nested.tensor import NestedTensor as NestedTensor

__all__ = [
    "as_nested_tensor", "masked_select", "narrow", "nested_tensor", "nested_tensor_from_jagged",
    "to_padded_tensor",
]
