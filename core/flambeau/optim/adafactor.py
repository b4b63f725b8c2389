"""Adafactor."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.optim._elementwise import Elementwise, counted
from flambeau.optim.optimizer import ParamsT
from flambeau.tensor import Tensor

__all__ = ["Adafactor"]


class Adafactor(Elementwise):
    """Keeps squared gradients of matrices by rows and columns (https://arxiv.org/abs/1804.04235).

    Args:
        beta2_decay: the weight of a new square is ``step ** beta2_decay``.
        eps: least square (the dtype's own epsilon if None), and least size of a parameter.
        d: steps are scaled down to this root mean square.
        weight_decay: shrinks the parameters by ``lr * weight_decay``.
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1e-2, beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0, weight_decay: float = 0.0,
        *, foreach: bool | None = None, maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        for right, what, value in (
            (lr >= 0, "Learning rate should be >= 0", lr),
            (beta2_decay <= 0, "beta2_decay should be <= 0", beta2_decay),
            (eps[0] is None or eps[0] >= 0, "epsilon1 should be >= 0", eps[0]),
            (eps[1] >= 0, "epsilon2 should be >= 0", eps[1]),
            (d >= 1, "Clipping threshold d should be >= 1", d),
            (weight_decay >= 0, "weight_decay should be >= 0", weight_decay),
        ):
            if not right:
                raise ValueError(f"{what} but is: {value}")
        super().__init__(params, {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d,
            "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize})

    def _step_one(self, p: Any, group: dict[str, Any]) -> None:
        if p.dtype.is_complex:
            raise RuntimeError("Adafactor does not support complex parameters")
        super()._step_one(p, group)

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = {"step": fb.tensor(0.0, dtype=fb.float32)}
        shape = tuple(p.shape)
        if p.ndim > 1:
            state["row_var"] = p.new_zeros((*shape[:-1], 1))
            state["col_var"] = p.new_zeros((*shape[:-2], 1, shape[-1]))
        else:
            state["variance"] = fb.zeros_like(p, memory_format=fb.preserve_format)
        return state

    def _update(self, p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        step, lr = counted(state), group["lr"]
        least_square, least_size = group["eps"]
        if least_square is None:
            least_square = fb.finfo(p.dtype).eps
        size = max(least_size, _root_mean_square(p))
        rate = size * min(float(lr), 1 / step**0.5)
        if group["weight_decay"] != 0:
            p.mul_(1 - lr * group["weight_decay"])
        square = _estimated_square(grad, state, step ** group["beta2_decay"], least_square)
        update = grad / square.clamp(min=least_square * least_square).sqrt()
        clipped = max(1.0, _root_mean_square(update) / group["d"])
        p.sub_(update * (rate / clipped))


def _root_mean_square(t: Any) -> float:
    return float((t * t).sum().sqrt()) / math.sqrt(t.numel())


def _estimated_square(
    grad: Any, state: dict[str, Any], weight: float, least: float
) -> Any:
    """Running squares of the gradient: of a matrix from those of its rows and columns."""
    square = grad * grad
    if grad.ndim == 1 or not grad.ndim:
        variance = state["variance"]
        variance.add_((square - variance) * weight)
        return variance
    rows, columns = state["row_var"], state["col_var"]
    rows.add_((square.mean(-1, keepdim=True) - rows) * weight)
    columns.add_((square.mean(-2, keepdim=True) - columns) * weight)
    return rows @ columns / rows.mean(-2, keepdim=True).clamp(min=least)
