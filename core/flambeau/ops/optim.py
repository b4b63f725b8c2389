"""Steps of optimizers over whole lists of parameters, in place.

One op per step, so that a backend can run it as one kernel; the decompositions are the same
arithmetic in elementwise ops.  Each returns what it has written to: the parameters, then the
state.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import flambeau.fused  # noqa: F401  call paths
from flambeau.ops.join import stack
from flambeau.ops.norms import vector_norm
from flambeau.ops.pointwise import maximum
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor

Tensors = Sequence[Tensor]


def _check_lengths(name: str, params: Tensors, **lists: Sequence[Any]) -> None:
    for what, tensors in lists.items():
        if len(tensors) != len(params):
            raise RuntimeError(
                f"{name}: {len(params)} params but {len(tensors)} {what}; the lists need one "
                "tensor per parameter")


# ---- counting steps ------------------------------------------------------------------------------
@composite(
    "foreach_add_(Tensor[] tensors, float value) -> Tensor[]", namespaces=("_internal",),
    out=False, method=False, dtypes="floating",
    samples=lambda make: iter([Sample(([make(2, 3), make()], 1.0))]),
    errors=lambda make: iter([error(TypeError, "must be tuple of Tensors", make(2), 1.0)]),
)
def foreach_add_(tensors: Tensors, value: float) -> list[Tensor]:
    """Add a number to every tensor of a list, in place."""
    for t in tensors:
        t.add_(value)
    return list(tensors)


@composite(
    "foreach_mul_(Tensor[] tensors, Tensor[] factor) -> Tensor[]", namespaces=("_internal",),
    out=False, method=False, dtypes="floating",
    samples=lambda make: iter([Sample(([make(2, 3), make(4, 2).t(), make()], [make()]))]),
    errors=lambda make: iter([error(TypeError, "must be tuple of Tensors", make(2), [make()])]),
)
def foreach_mul_(tensors: Tensors, factor: Tensors) -> list[Tensor]:
    """Multiply every tensor of a list, in place, by the one that ``factor`` holds."""
    for t in tensors:
        t.mul_(factor[0])
    return list(tensors)


@composite(
    "total_norm(Tensor[] tensors, float ord) -> Tensor", namespaces=("_internal",),
    out=False, method=False, dtypes="floating_complex", template="list",
    samples=lambda make: iter([
        Sample(([make(2, 3), make(4, 2).t(), make()], ord)) for ord in (1.0, 2.0, math.inf)]),
    errors=lambda make: iter([error(RuntimeError, "non-empty", [], 2.0)]),
)
def total_norm(tensors: Tensors, ord: float) -> Any:
    """The norm of all tensors together, as one vector."""
    return vector_norm(stack([vector_norm(t, ord) for t in tensors]), ord)


# ---- stochastic gradient descent -----------------------------------------------------------------
def _sgd_samples(make: Make) -> Iterator[Sample]:
    def lists(n: int) -> tuple[list[Tensor], ...]:
        return tuple([make(3, 4), make(4, 2).t(), make(5)] for _ in range(n))

    yield Sample((*lists(2), [], 0.1), name="plain")
    yield Sample((*lists(2), [], 0.1), {"weight_decay": 0.5, "maximize": True}, name="decay")
    yield Sample((*lists(3), 0.1), {"momentum": 0.9, "dampening": 0.3}, name="momentum")
    yield Sample((*lists(3), 0.1), {"momentum": 0.9, "nesterov": True}, name="nesterov")


def _sgd_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "1 params but 0 grads", [make(3)], [], [], 0.1)
    yield error(RuntimeError, "1 params but 0 momentum_buffers", [make(3)], [make(3)], [], 0.1,
                momentum=0.9)


@composite(
    "sgd_step_(Tensor[] params, Tensor[] grads, Tensor[] momentum_buffers, Any lr, *, "
    "float momentum=0, float dampening=0, Any weight_decay=0, bool nesterov=False, "
    "bool maximize=False) -> Tensor[]",
    namespaces=("_internal",), out=False, method=False, dtypes="floating",
    samples=_sgd_samples, errors=_sgd_errors,
)
def sgd_step_(
    params: Tensors, grads: Tensors, momentum_buffers: Tensors, lr: Any, momentum: float = 0,
    dampening: float = 0, weight_decay: Any = 0, nesterov: bool = False, maximize: bool = False,
) -> list[Tensor]:
    """One step of gradient descent; see :class:`flambeau.optim.SGD`.

    Args:
        momentum_buffers: one per parameter, or none at all without momentum.
        lr: a number, or a tensor of one element.
    """
    _check_lengths("sgd_step_", params, grads=grads)
    if momentum:
        _check_lengths("sgd_step_", params, momentum_buffers=momentum_buffers)
    for i, (param, grad) in enumerate(zip(params, grads, strict=True)):
        if maximize:
            grad = -grad
        if _is_given(weight_decay):
            grad = grad + param * weight_decay
        if momentum:
            buffer = momentum_buffers[i]
            buffer.mul_(momentum).add_(grad * (1 - dampening))
            grad = grad + buffer * momentum if nesterov else buffer
        param.sub_(grad * lr)
    return [*params, *momentum_buffers]


def _is_given(weight_decay: Any) -> bool:
    return isinstance(weight_decay, Tensor) or weight_decay != 0


# ---- Adam ----------------------------------------------------------------------------------------
def _adam_samples(make: Make) -> Iterator[Sample]:
    def lists(squares: int) -> tuple[list[Tensor], ...]:
        positive = [
            [make(3, 4, low=0.1, high=2), make(4, 2, low=0.1, high=2).t()] for _ in range(squares)]
        any_sign = [[make(3, 4), make(4, 2).t()] for _ in range(3)]
        return (*any_sign, *positive, *([] if squares == 2 else [[]]))

    steps, settings = [1.0, 7.0], (0.1, 0.9, 0.99, 1e-3)
    yield Sample((*lists(1), steps, *settings), name="plain")
    yield Sample((*lists(1), steps, *settings), {"weight_decay": 0.1, "maximize": True},
                 name="decay")
    yield Sample((*lists(1), steps, *settings), {"weight_decay": 0.1, "decoupled": True},
                 name="decoupled")
    yield Sample((*lists(2), steps, *settings), name="amsgrad")


def _adam_errors(make: Make) -> Iterator[ErrorSample]:
    one = [make(3)]
    yield error(RuntimeError, "1 params but 0 exp_avgs", one, one, [], one, [], [1.0], 0.1, 0.9,
                0.99, 1e-8)


@composite(
    "adam_step_(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, "
    "Tensor[] max_exp_avg_sqs, Any steps, Any lr, Any beta1, Any beta2, float eps, *, "
    "Any weight_decay=0, bool maximize=False, bool decoupled=False) -> Tensor[]",
    namespaces=("_internal",), out=False, method=False, dtypes="floating",
    samples=_adam_samples, errors=_adam_errors,
)
def adam_step_(
    params: Tensors, grads: Tensors, exp_avgs: Tensors, exp_avg_sqs: Tensors,
    max_exp_avg_sqs: Tensors, steps: Sequence[Any], lr: Any, beta1: Any, beta2: Any, eps: float,
    weight_decay: Any = 0, maximize: bool = False, decoupled: bool = False,
) -> list[Tensor]:
    """One step of Adam (https://arxiv.org/abs/1412.6980); see :class:`flambeau.optim.Adam`.

    Args:
        max_exp_avg_sqs: one per parameter for AMSGrad, else none.
        steps: number of this step per parameter, from 1.
        decoupled: weight decay shrinks the parameters (AdamW), else it adds to the gradients.
    """
    _check_lengths(
        "adam_step_", params, grads=grads, exp_avgs=exp_avgs, exp_avg_sqs=exp_avg_sqs,
        steps=steps)
    for i, (param, grad) in enumerate(zip(params, grads, strict=True)):
        if maximize:
            grad = -grad
        if _is_given(weight_decay):
            if decoupled:
                param.mul_(1 - lr * weight_decay)
            else:
                grad = grad + param * weight_decay
        mean, square, step = exp_avgs[i], exp_avg_sqs[i], steps[i]
        mean.add_((grad - mean) * (1 - beta1))
        square.mul_(beta2).add_(grad * grad * (1 - beta2))
        if max_exp_avg_sqs:
            greatest = max_exp_avg_sqs[i]
            greatest.copy_(maximum(greatest, square))
            square = greatest
        spread = square.sqrt() / _root(1 - beta2**step) + eps
        param.sub_(mean / spread * (lr / (1 - beta1**step)))
    return [*params, *exp_avgs, *exp_avg_sqs, *max_exp_avg_sqs]


def _root(x: Any) -> Any:
    return x.sqrt() if isinstance(x, Tensor) else math.sqrt(x)


# ---- RMSprop -------------------------------------------------------------------------------------
def _rmsprop_samples(make: Make) -> Iterator[Sample]:
    def lists(mean: bool, momentum: bool) -> tuple[list[Tensor], ...]:
        def some(**limits: Any) -> list[Tensor]:
            return [make(3, 4, **limits), make(4, 2, **limits).t()]

        small = some(low=-0.1, high=0.1) if mean else []
        return some(), some(), some(low=0.1, high=2), small, some() if momentum else []

    settings = (0.1, 0.9, 1e-3)
    yield Sample((*lists(False, False), *settings), name="plain")
    yield Sample((*lists(True, False), *settings), {"weight_decay": 0.1, "maximize": True},
                 name="centered")
    yield Sample((*lists(True, True), *settings), {"momentum": 0.5}, name="momentum")


def _rmsprop_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "1 params but 0 square_avgs", [make(3)], [make(3)], [], [], [], 0.1,
                0.9, 1e-8)


@composite(
    "rmsprop_step_(Tensor[] params, Tensor[] grads, Tensor[] square_avgs, Tensor[] grad_avgs, "
    "Tensor[] momentum_buffers, Any lr, float alpha, float eps, *, float weight_decay=0, "
    "float momentum=0, bool maximize=False) -> Tensor[]",
    namespaces=("_internal",), out=False, method=False, dtypes="floating",
    samples=_rmsprop_samples, errors=_rmsprop_errors,
)
def rmsprop_step_(
    params: Tensors, grads: Tensors, square_avgs: Tensors, grad_avgs: Tensors,
    momentum_buffers: Tensors, lr: Any, alpha: float, eps: float, weight_decay: float = 0,
    momentum: float = 0, maximize: bool = False,
) -> list[Tensor]:
    """One step of RMSprop; see :class:`flambeau.optim.RMSprop`.

    Args:
        grad_avgs: one per parameter if the step is centered, else none.
        momentum_buffers: one per parameter, or none at all without momentum.
    """
    _check_lengths("rmsprop_step_", params, grads=grads, square_avgs=square_avgs)
    for i, (param, grad) in enumerate(zip(params, grads, strict=True)):
        grad = _with_decay(param, -grad if maximize else grad, weight_decay)
        square = square_avgs[i]
        square.mul_(alpha).add_(grad * grad * (1 - alpha))
        if grad_avgs:
            mean = grad_avgs[i]
            mean.add_((grad - mean) * (1 - alpha))
            square = square - mean * mean
        step = grad / (square.sqrt() + eps)
        if momentum_buffers:
            step = momentum_buffers[i].mul_(momentum).add_(step)
        param.sub_(step * lr)
    return [*params, *square_avgs, *grad_avgs, *momentum_buffers]


def _with_decay(param: Tensor, grad: Tensor, weight_decay: float) -> Tensor:
    return grad + param * weight_decay if weight_decay else grad


# ---- Adagrad -------------------------------------------------------------------------------------
def _adagrad_samples(make: Make) -> Iterator[Sample]:
    def lists() -> tuple[list[Tensor], ...]:
        squares = [make(3, 4, low=0.1, high=2), make(4, 2, low=0.1, high=2).t()]
        return [make(3, 4), make(4, 2).t()], [make(3, 4), make(4, 2).t()], squares

    yield Sample((*lists(), [0.1, 0.02], 1e-3), name="plain")
    yield Sample((*lists(), [0.1, 0.02], 1e-3), {"weight_decay": 0.1, "maximize": True},
                 name="decay")


def _adagrad_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "1 params but 2 rates", [make(3)], [make(3)], [make(3)], [0.1, 0.1],
                1e-8)


@composite(
    "adagrad_step_(Tensor[] params, Tensor[] grads, Tensor[] sums, Any rates, float eps, *, "
    "float weight_decay=0, bool maximize=False) -> Tensor[]",
    namespaces=("_internal",), out=False, method=False, dtypes="floating",
    samples=_adagrad_samples, errors=_adagrad_errors,
)
def adagrad_step_(
    params: Tensors, grads: Tensors, sums: Tensors, rates: Sequence[Any], eps: float,
    weight_decay: float = 0, maximize: bool = False,
) -> list[Tensor]:
    """One step of Adagrad; see :class:`flambeau.optim.Adagrad`.

    Args:
        rates: the learning rate of each parameter.
    """
    _check_lengths("adagrad_step_", params, grads=grads, sums=sums, rates=rates)
    for param, grad, total, rate in zip(params, grads, sums, rates, strict=True):
        grad = _with_decay(param, -grad if maximize else grad, weight_decay)
        total.add_(grad * grad)
        param.sub_(grad / (total.sqrt() + eps) * rate)
    return [*params, *sums]
