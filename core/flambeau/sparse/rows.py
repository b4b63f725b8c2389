"""Gradients that are zero in most rows: those of embeddings, and steps of optimizers by them."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.autograd.function import Function
from flambeau.ops.embedding import embedding_rows
from flambeau.sparse.convert import coalesced
from flambeau.sparse.pattern import Coordinates
from flambeau.sparse.tensor import SparseTensor, from_values
from flambeau.tensor import Tensor


class SparseEmbedding(Function):
    """Rows of a table; the gradient of the table names only the rows in use."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, input: Tensor, padding_idx: int, scale_grad_by_freq: bool
    ) -> Tensor:
        """Rows of ``weight`` (entries, width) at the indices ``input``."""
        ctx.input, ctx.entries = input, weight.shape
        ctx.padding_idx, ctx.scale = padding_idx, scale_grad_by_freq
        rows: Tensor = embedding_rows(input, weight.detach())
        return rows

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """One row of the output's gradient per index."""
        at = ctx.input.reshape(-1).long()
        rows = g.reshape(-1, g.shape[-1])
        if ctx.scale:
            raise RuntimeError(
                "embedding_backward: scale_grad_by_freq not supported with sparse gradients")
        if ctx.padding_idx >= 0:
            used = (at != ctx.padding_idx).nonzero().reshape(-1)
            at, rows = fb.index_select(at, 0, used), fb.index_select(rows, 0, used)
        return from_values(Coordinates(at.unsqueeze(0), ctx.entries), rows), None, None, None


# ---- dense tensors, row by row -----------------------------------------------------------------
class Rows:
    """The places of a sparse gradient in dense tensors of its shape, each once."""

    def __init__(self, grad: Any) -> None:
        pattern, self.values = coalesced(grad)
        self._at = tuple(pattern.indices)
        self.count = pattern.nnz

    def read(self, t: Tensor) -> Tensor:
        """The elements of a dense tensor at the places."""
        return t[self._at]

    def write(self, t: Any, values: Tensor) -> None:
        """Replace the elements of a dense tensor at the places."""
        t[self._at] = values


def is_sparse(t: Any) -> bool:
    """Whether a tensor is of a sparse layout."""
    return isinstance(t, SparseTensor)


def sgd_step(
    p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]
) -> None:
    """One step of stochastic gradient descent by a sparse gradient.

    Raises:
        RuntimeError: with weight decay, which would make the gradient dense.
    """
    if group["maximize"]:
        grad = -grad
    if group["weight_decay"]:
        raise RuntimeError(
            "SGD: weight_decay would add a dense tensor to a sparse gradient, which is not "
            "supported")
    momentum = group["momentum"]
    if momentum:
        held = state.get("momentum_buffer")
        if held is None:
            held = state["momentum_buffer"] = grad.detach().clone()
        else:
            held.mul_(momentum).add_(grad, alpha=1 - group["dampening"])
            state["momentum_buffer"] = held = held.coalesce()
        grad = grad.add(held, alpha=momentum) if group["nesterov"] else held
    rows = Rows(grad)
    rows.write(p, rows.read(p) - rows.values * group["lr"])


def adagrad_step(
    p: Any, grad: Any, total: Tensor, rate: Any, group: dict[str, Any]
) -> None:
    """One step of Adagrad by a sparse gradient; only its rows of the sums grow.

    Raises:
        RuntimeError: with weight decay, which would make the gradient dense.
    """
    if group["weight_decay"]:
        raise RuntimeError("weight_decay option is not compatible with sparse gradients")
    rows = Rows(-grad if group["maximize"] else grad)
    g = rows.values
    square = rows.read(total) + g * g
    rows.write(total, square)
    rows.write(p, rows.read(p) - g / (square.sqrt() + group["eps"]) * rate)
