"""Steps of optimizers: one call for all parameters of a group.

C reads the lists of arrays where Python keeps them: nothing is gathered parameter by parameter.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.library import Library

kernels = NativeTable()
Arrays = Sequence[Any]
_FUNCTIONS = {"sgd_step": "Iaaaddddii", "adam_step": "Iaaaaaaaddddddi", "add_number": "Iad",
              "rmsprop_step": "Iaaaaaddddddi", "adagrad_step": "Iaaaaddi",
              "scale": "Iaa", "norm": "Iaa"}
_c = Library("optim", {"look_at_list": "ap"} | {
    f"{name}_{kind}": letters for name, letters in _FUNCTIONS.items() for kind in ("f32", "f64")})
_NUMBERS = {int, float, bool}
_SUFFIXES = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}


@cache
def _reads_lists() -> bool:
    """Whether C finds in a list what Python put there."""
    sample = [np.zeros(2), np.zeros(3)]
    seen = (ctypes.c_int64 * 4)()
    _c().look_at_list(sample, ctypes.addressof(seen))
    return list(seen) == [2, *map(id, sample), id(sample[0].dtype)]


@cache
def _functions(dtype: Any) -> dict[str, Any] | None:
    """The functions for an element type; None if C does not do it."""
    kind, c = _SUFFIXES.get(dtype), _c()
    if kind is None or c is None or not _reads_lists():
        return None
    return {name: getattr(c, f"{name}_{kind}") for name in _FUNCTIONS}


def _of(arrays: Arrays) -> dict[str, Any] | None:
    return _functions(arrays[0].dtype) if arrays else None


def _are_numbers(*values: Any) -> bool:
    return {v.__class__ for v in values} <= _NUMBERS


@kernels.fresh_form("foreach_add_", at=0)
def foreach_add_(tensors: Arrays, value: float) -> Any:
    """Add a number to every array."""
    functions = _of(tensors)
    if functions is None or not functions["add_number"](list(tensors), value):
        return NotImplemented
    return tuple(tensors)


@kernels.fresh_form("foreach_mul_", at=0)
def foreach_mul_(tensors: Arrays, factor: Arrays) -> Any:
    """Multiply every array by one number."""
    functions = _of(tensors)
    number = np.asarray(factor[0])
    if functions is None or number.dtype is not tensors[0].dtype or number.size != 1:
        return NotImplemented
    return tuple(tensors) if functions["scale"](list(tensors), number) else NotImplemented


@kernels.fresh_form("total_norm", at=0)
def total_norm(tensors: Arrays, ord: float) -> Any:
    """The Euclidean norm; others are declined."""
    functions = _of(tensors)
    if functions is None or ord != 2:
        return NotImplemented
    out = np.empty((), tensors[0].dtype)
    return out if functions["norm"](list(tensors), out) else NotImplemented


@kernels.fresh_form("sgd_step_", at=0)
def sgd_step_(
    params: Arrays, grads: Arrays, momentum_buffers: Arrays, lr: Any, momentum: float,
    dampening: float, weight_decay: Any, nesterov: bool, maximize: bool,
) -> Any:
    """Gradient descent."""
    functions = _of(params)
    if functions is None or not _are_numbers(lr, weight_decay):
        return NotImplemented
    done = functions["sgd_step"](
        list(params), list(grads), list(momentum_buffers), lr, momentum, 1 - dampening,
        weight_decay, nesterov, maximize)
    return (*params, *momentum_buffers) if done else NotImplemented


@kernels.fresh_form("adam_step_", at=0)
def adam_step_(
    params: Arrays, grads: Arrays, exp_avgs: Arrays, exp_avg_sqs: Arrays,
    max_exp_avg_sqs: Arrays, steps: Sequence[Any], lr: Any, beta1: Any, beta2: Any, eps: float,
    weight_decay: Any, maximize: bool, decoupled: bool,
) -> Any:
    """Adam and its variants."""
    functions = _of(params)
    if functions is None or len(steps) != len(params) or not _are_numbers(
            lr, beta1, beta2, weight_decay, *steps):
        return NotImplemented
    factors = {s: (math.sqrt(1 - beta2**s), lr / (1 - beta1**s)) for s in set(steps)}
    roots, sizes = (np.array([factors[s][i] for s in steps], np.float64) for i in range(2))
    done = functions["adam_step"](
        list(params), list(grads), list(exp_avgs), list(exp_avg_sqs), list(max_exp_avg_sqs),
        roots, sizes, 1 - beta1, beta2, 1 - beta2, eps, 0.0 if decoupled else weight_decay,
        1 - lr * weight_decay if decoupled else 1.0, maximize)
    return (*params, *exp_avgs, *exp_avg_sqs, *max_exp_avg_sqs) if done else NotImplemented


@kernels.fresh_form("rmsprop_step_", at=0)
def rmsprop_step_(
    params: Arrays, grads: Arrays, square_avgs: Arrays, grad_avgs: Arrays,
    momentum_buffers: Arrays, lr: Any, alpha: float, eps: float, weight_decay: float,
    momentum: float, maximize: bool,
) -> Any:
    """RMSprop."""
    functions = _of(params)
    if functions is None or not _are_numbers(lr, alpha, eps, weight_decay, momentum):
        return NotImplemented
    done = functions["rmsprop_step"](
        list(params), list(grads), list(square_avgs), list(grad_avgs), list(momentum_buffers), lr,
        alpha, 1 - alpha, eps, momentum, weight_decay, maximize)
    return (*params, *square_avgs, *grad_avgs, *momentum_buffers) if done else NotImplemented


@kernels.fresh_form("adagrad_step_", at=0)
def adagrad_step_(
    params: Arrays, grads: Arrays, sums: Arrays, rates: Sequence[Any], eps: float,
    weight_decay: float, maximize: bool,
) -> Any:
    """Adagrad."""
    functions = _of(params)
    if functions is None or len(rates) != len(params) or not _are_numbers(*rates, weight_decay):
        return NotImplemented
    done = functions["adagrad_step"](
        list(params), list(grads), list(sums), np.array(rates, np.float64), eps, weight_decay,
        maximize)
    return (*params, *sums) if done else NotImplemented
