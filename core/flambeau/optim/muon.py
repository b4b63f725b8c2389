"""Muon."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.optim._elementwise import Elementwise, move_mean
from flambeau.optim.optimizer import ParamsT
from flambeau.tensor import Tensor

__all__ = ["Muon"]

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(Elementwise):
    """Momentum whose steps are made orthogonal (https://kellerjordan.github.io/posts/muon).

    For matrices; other parameters need another optimizer.

    Args:
        weight_decay: shrinks the parameters by ``lr * weight_decay``.
        nesterov: step by gradient and momentum together.
        ns_coefficients: of the polynomial of the Newton-Schulz iteration.
        ns_steps: number of iterations.
        adjust_lr_fn: "original" scales the rate by the root of rows over columns,
            "match_rms_adamw" so that steps are as large as AdamW's.
    """

    def __init__(
        self, params: ParamsT, lr: float = 1e-3, weight_decay: float = 0.1,
        momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = _COEFFICIENTS, eps: float = 1e-7,
        ns_steps: int = 5, adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        for name, value in (
            ("Learning rate", lr), ("momentum", momentum), ("weight decay", weight_decay)
        ):
            if not value >= 0.0:
                raise ValueError(f"{name} should be >= 0 but is: {value}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(params, {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn})
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        "Muon only supports 2D parameters whereas we found a parameter with size: "
                        f"{p.size()}")

    def _step_one(self, p: Any, group: dict[str, Any]) -> None:
        if p.dtype.is_complex:
            raise RuntimeError("Muon does not support complex parameters")
        super()._step_one(p, group)

    def _start(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"momentum_buffer": fb.zeros_like(p.grad.detach(), memory_format=fb.preserve_format)}

    def _update(self, p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        buffer, momentum = state["momentum_buffer"], group["momentum"]
        move_mean(buffer, grad, momentum)
        step = grad + (buffer - grad) * momentum if group["nesterov"] else buffer
        step = orthogonalized(step, group["ns_coefficients"], group["ns_steps"], group["eps"])
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.sub_(step * _adjusted(group["lr"], group["adjust_lr_fn"], p.shape))


def orthogonalized(
    matrix: Any, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Any:
    """About the nearest orthogonal matrix, by Newton-Schulz iteration in ``bfloat16``.

    Raises:
        ValueError: for 100 steps or more, coefficients other than three, or no matrix.
    """
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if matrix.ndim != 2:
        raise ValueError("Input tensor gradient must be a 2D matrix")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    x = _rounded(matrix)
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    x = _rounded(x / _rounded(x.norm()).clamp(min=eps))  # singular values at most 1: it converges
    for _ in range(steps):
        gram = _rounded(x @ x.t())
        x = _rounded(x * a + _rounded(gram * b + gram @ gram * c) @ x)
    return x.t() if tall else x


def _rounded(t: Any) -> Any:
    """Single precision rounded to ``bfloat16``, as products of such numbers are accumulated."""
    return t.to(fb.bfloat16).to(fb.float32)


def _adjusted(lr: Any, how: str | None, shape: Any) -> Any:
    rows, columns = shape
    if how == "match_rms_adamw":
        return lr * (0.2 * math.sqrt(max(rows, columns)))
    return lr * math.sqrt(max(1, rows / columns))
