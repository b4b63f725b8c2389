"""Steps of optimizers: loops over arrays with scratch memory that is used again.

Large parameters are taken in blocks, so that the intermediate results of a block stay in the
cache.  Numbers are made arrays of no dimensions first: NumPy takes those with half the overhead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()

Arrays = Sequence[Any]
_BLOCK = 16384
_add, _subtract, _multiply, _divide = np.add, np.subtract, np.multiply, np.true_divide
_negative, _sqrt, _maximum = np.negative, np.sqrt, np.maximum


class _Numbers:
    """Numbers as arrays of a dtype."""

    def __init__(self, **values: float) -> None:
        self._values = values
        self._of_dtype: dict[Any, tuple[Any, ...]] = {}

    def of(self, what: Any) -> tuple[Any, ...]:
        """The numbers in order."""
        found = self._of_dtype.get(what)
        if found is None:
            found = tuple(np.array(v, what) for v in self._values.values())
            self._of_dtype[what] = found
        return found


def _blocks(arrays: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Pieces of equal arrays that fit into the cache together."""
    if not all(a.flags.c_contiguous for a in arrays):
        yield arrays
        return
    flat = [a.reshape(-1) for a in arrays]
    for start in range(0, flat[0].size, _BLOCK):
        yield tuple(a[start : start + _BLOCK] for a in flat)


def _each(lists: Sequence[Arrays]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Position and arrays of each parameter, in blocks if it is large."""
    for i, arrays in enumerate(zip(*lists, strict=True)):
        if arrays[0].size <= _BLOCK:
            yield i, arrays
        else:
            for block in _blocks(arrays):
                yield i, block


@kernels.register_fresh("foreach_add_")
def foreach_add_(tensors: Arrays, value: float) -> Any:
    """Add a number to every array."""
    number = _Numbers(value=value)
    for t in tensors:
        _add(t, number.of(t.dtype)[0], t)
    return tuple(tensors)


@kernels.register_fresh("sgd_step_")
def sgd_step_(
    params: Arrays, grads: Arrays, momentum_buffers: Arrays, lr: Any, momentum: float,
    dampening: float, weight_decay: Any, nesterov: bool, maximize: bool,
) -> Any:
    """Gradient descent."""
    if not _plain(lr, weight_decay) or len(grads) != len(params) or (
            momentum and len(momentum_buffers) != len(params)):
        return NotImplemented
    if momentum or weight_decay or maximize:
        _sgd_with_state(
            params, grads, momentum_buffers, _Numbers(
                lr=lr, momentum=momentum, kept=1 - dampening, decay=weight_decay),
            dampening, weight_decay, nesterov, maximize)
    else:
        _descend(params, grads, _Numbers(lr=lr))
    return (*params, *momentum_buffers)


def _plain(*numbers: Any) -> bool:
    return all(isinstance(n, (int, float)) for n in numbers)


def _descend(params: Arrays, grads: Arrays, numbers: _Numbers) -> None:
    scratch: Any = np.empty(0)
    for _, (p, g) in _each((params, grads)):
        if scratch.shape != p.shape or scratch.dtype != p.dtype:
            scratch, (lr,) = np.empty_like(p), numbers.of(p.dtype)
        _subtract(p, _multiply(g, lr, scratch), p)


def _sgd_with_state(
    params: Arrays, grads: Arrays, buffers: Arrays, numbers: _Numbers, dampening: float,
    weight_decay: float, nesterov: bool, maximize: bool,
) -> None:
    scratch: Any = np.empty(0)
    for _, (p, g, *held) in _each((params, grads, buffers) if buffers else (params, grads)):
        if scratch.shape != p.shape or scratch.dtype != p.dtype:
            scratch, other = np.empty_like(p), np.empty_like(p)
            lr, momentum, kept, decay = numbers.of(p.dtype)
        if maximize:
            g = _negative(g, other)
        if weight_decay:
            g = _add(g, _multiply(p, decay, scratch), other)
        if held:
            buffer = held[0]
            _multiply(buffer, momentum, buffer)
            _add(buffer, _multiply(g, kept, scratch) if dampening else g, buffer)
            g = _add(g, _multiply(buffer, momentum, scratch), other) if nesterov else buffer
        _subtract(p, _multiply(g, lr, scratch), p)


@kernels.register_fresh("adam_step_")
def adam_step_(
    params: Arrays, grads: Arrays, exp_avgs: Arrays, exp_avg_sqs: Arrays,
    max_exp_avg_sqs: Arrays, steps: Sequence[Any], lr: Any, beta1: Any, beta2: Any, eps: float,
    weight_decay: Any, maximize: bool, decoupled: bool,
) -> Any:
    """Adam and its variants."""
    lists = [params, grads, exp_avgs, exp_avg_sqs, *([max_exp_avg_sqs] if max_exp_avg_sqs else [])]
    if any(len(x) != len(params) for x in (*lists, steps)) or not _plain(
            lr, beta1, beta2, weight_decay, *steps):
        return NotImplemented
    of_step: dict[float, _Numbers] = {}
    scratch, last = np.empty(0), None
    for i, (p, g, mean, square, *greatest) in _each(lists):
        if scratch.shape != p.shape or scratch.dtype != p.dtype or steps[i] != last:
            if scratch.shape != p.shape or scratch.dtype != p.dtype:
                scratch, other = np.empty_like(p), np.empty_like(p)
            last = steps[i]
            numbers = of_step.get(last)
            if numbers is None:
                numbers = of_step[last] = _adam_numbers(last, lr, beta1, beta2, eps, weight_decay)
            fresh1, n_beta2, fresh2, root, n_eps, size, decay, shrink = numbers.of(p.dtype)
        if maximize:
            g = _negative(g, other)
        if weight_decay:
            if decoupled:
                _multiply(p, shrink, p)
            else:
                g = _add(g, _multiply(p, decay, scratch), other)
        _add(mean, _multiply(_subtract(g, mean, scratch), fresh1, scratch), mean)
        _multiply(square, n_beta2, square)
        _add(square, _multiply(_multiply(g, g, scratch), fresh2, scratch), square)
        if greatest:
            square = _maximum(greatest[0], square, out=greatest[0])
        _add(_divide(_sqrt(square, scratch), root, scratch), n_eps, scratch)
        _subtract(p, _multiply(_divide(mean, scratch, scratch), size, scratch), p)
    return tuple(a for x in (params, exp_avgs, exp_avg_sqs, max_exp_avg_sqs) for a in x)


def _adam_numbers(
    step: float, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float
) -> _Numbers:
    return _Numbers(
        fresh1=1 - beta1, beta2=beta2, fresh2=1 - beta2, root=math.sqrt(1 - beta2**step), eps=eps,
        size=lr / (1 - beta1**step), decay=weight_decay, shrink=1 - lr * weight_decay)
