"""Softmax over very many classes, the rare ones in clusters (https://arxiv.org/abs/1609.04309)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import flambeau as fb
from flambeau.nn import functional as F
from flambeau.nn.modules.container import ModuleList, Sequential
from flambeau.nn.modules.linear import Linear
from flambeau.nn.modules.module import Module
from flambeau.tensor import Tensor

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _ASMoutput(NamedTuple):
    """Log-probabilities of the targets and their negative mean."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of the targets, classes numbered from the most frequent on.

    Args:
        cutoffs: the first class of each cluster.
        div_value: by how much the projections of each next cluster are smaller.
        head_bias: whether the head has a bias.
    """

    def __init__(
        self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0,
        head_bias: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__()
        cutoffs = list(cutoffs)
        _check(cutoffs, n_classes)
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(
            in_features, self.head_size, bias=head_bias, device=device, dtype=dtype)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            hidden = int(in_features // div_value ** (i + 1))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(Sequential(
                Linear(in_features, hidden, bias=False, device=device, dtype=dtype),
                Linear(hidden, size, bias=False, device=device, dtype=dtype)))

    def reset_parameters(self) -> None:
        """Draw all projections anew."""
        self.head.reset_parameters()
        for to_hidden, to_classes in self.tail:
            to_hidden.reset_parameters()
            to_classes.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        """Shapes (N, in_features) and (N), or (in_features) and ().

        Raises:
            RuntimeError: for shapes that do not fit, or a target that is no class.
        """
        _check_shapes(input_, target_)
        is_batched = target_.dim() > 0
        input = input_ if is_batched else input_.unsqueeze(0)
        target = target_ if is_batched else target_.unsqueeze(0)
        _check_targets(target, self.n_classes)
        # Per sample: its column in the head, and what its cluster adds.
        column = target.clone()
        added = fb.zeros(target.shape, dtype=input.dtype, device=input.device)
        for i, project in enumerate(self.tail):
            low, high = self.cutoffs[i], self.cutoffs[i + 1]
            inside = (target >= low) & (target < high)
            rows = inside.nonzero().squeeze(1)
            if rows.numel() == 0:
                continue
            column[rows] = self.shortlist_size + i
            log_probs = F.log_softmax(project(input.index_select(0, rows)), dim=1)
            own = log_probs.gather(1, (target[rows] - low).unsqueeze(1)).squeeze(1)
            added = added.index_copy(0, rows, own)
        head = F.log_softmax(self.head(input), dim=1)
        output = head.gather(1, column.unsqueeze(1)).squeeze(1) + added
        loss = (-output).mean()
        return _ASMoutput(output if is_batched else output.squeeze(0), loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """Log-probabilities of all classes: (N, in_features) to (N, n_classes)."""
        head = F.log_softmax(self.head(input), dim=1)
        parts = [head[:, : self.shortlist_size]]
        for i, project in enumerate(self.tail):
            of_cluster = head[:, self.shortlist_size + i].unsqueeze(1)
            parts.append(F.log_softmax(project(input), dim=1) + of_cluster)
        return fb.cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class: (N, in_features) to (N)."""
        best: Tensor = fb.argmax(self.head(input), dim=1)
        if bool((best >= self.shortlist_size).any()):
            best = fb.argmax(self.log_prob(input), dim=1)
        return best


def _check(cutoffs: list[int], n_classes: int) -> None:
    if len(cutoffs) == 0:
        raise ValueError("cutoffs should be a sequence of length larger than 0")
    if (
        cutoffs != sorted(cutoffs) or min(cutoffs) <= 0 or max(cutoffs) > n_classes - 1
        or len(set(cutoffs)) != len(cutoffs) or any(int(c) != c for c in cutoffs)
    ):
        raise ValueError(
            "cutoffs should be a sequence of unique, positive integers sorted in an increasing "
            "order, where each value is between 1 and n_classes-1")


def _check_shapes(input: Tensor, target: Tensor) -> None:
    if target.dim() == 1:
        if input.shape[0] != target.shape[0]:
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if input.dim() != 2:
            raise RuntimeError(
                "1D target tensor expects 2D input tensors, but found inputs with size "
                f"{input.size()}")
    elif target.dim() == 0:
        if input.dim() != 1:
            raise RuntimeError(
                "0D target tensor expects 1D input tensors, but found inputs with size "
                f"{input.size()}")
    else:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")


def _check_targets(target: Tensor, n_classes: int) -> None:
    if target.numel() and bool(((target < 0) | (target >= n_classes)).any()):
        raise RuntimeError(
            f"Target values should be in [0, {n_classes - 1}], but values in range "
            f"[{target.min().item()}, {target.max().item()}] were found. ")
