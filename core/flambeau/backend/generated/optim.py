"""Steps of optimizers: kernels that read and write everything once, of a parameter or several."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.lists import Elements, ElementSteps, ListKernels
from flambeau.backend.generated.rows import Part, RowKernels, Work, floating_of
from flambeau.codegen.dialects.base import Register
from flambeau.codegen.kernels.rows import Let, StoreRow

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

Tensors = Sequence[Strided]


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of the three ops."""
    steps, result = Steps(backend), KernelTable()
    result.fresh["foreach_add_"] = steps.foreach_add
    result.fresh["sgd_step_"] = steps.sgd
    result.fresh["adam_step_"] = steps.adam
    return result


class Steps:
    """The three ops, all in place."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.backend, self.rows = backend, RowKernels(backend)
        self.lists = ListKernels(backend)

    def run(
        self, name: str, variant: Any, lists: Mapping[str, Tensors], written: Sequence[str],
        numbers: dict[str, float], steps: Callable[[], ElementSteps],
    ) -> None:
        """Work on lists of tensors, element by element: several parameters in one kernel where
        their elements lie alike."""
        members = list(zip(*lists.values(), strict=True))
        names, values = tuple(lists), tuple(numbers.values())
        if self.backend.dialect.has_groups and len(members) > 1:
            members = self.lists.run(
                name, variant, members, values,
                lambda: Elements(names, tuple(written), tuple(numbers), steps()))
        for tensors in members:
            self.rows.run(
                name, variant, tensors, values,
                lambda t=tensors: _work(  # type: ignore[misc]
                    dict(zip(names, t, strict=True)), written, tuple(numbers), steps()))

    def foreach_add(self, tensors: Tensors, value: Any) -> Any:
        """Add a number to every tensor."""
        if not _fit([tensors], value):
            return NotImplemented
        self.run("foreach_add", None, {"x": tensors}, ("x",), {"value": value},
                 lambda: (StoreRow("x", "x + value"),))
        return tuple(tensors)

    # ---- stochastic gradient descent ---------------------------------------------------------
    def sgd(
        self, params: Tensors, grads: Tensors, momentum_buffers: Tensors, lr: Any, momentum: float,
        dampening: float, weight_decay: Any, nesterov: bool, maximize: bool,
    ) -> Any:
        """Gradient descent."""
        lists = {"p": params, "g": grads, **({"buffer": momentum_buffers} if momentum else {})}
        if not _fit([*lists.values()], lr, weight_decay):
            return NotImplemented
        numbers = {"lr": lr}
        if weight_decay:
            numbers["decay"] = weight_decay
        if momentum:
            numbers |= {"momentum": momentum, "kept": 1 - dampening}
        variant = (bool(momentum), bool(weight_decay), nesterov, maximize)
        self.run("sgd_step", variant, lists, ("p", "buffer"), numbers, lambda: _sgd_steps(*variant))
        return (*params, *momentum_buffers)

    # ---- Adam --------------------------------------------------------------------------------
    def adam(
        self, params: Tensors, grads: Tensors, exp_avgs: Tensors, exp_avg_sqs: Tensors,
        max_exp_avg_sqs: Tensors, steps: Sequence[Any], lr: Any, beta1: Any, beta2: Any,
        eps: float, weight_decay: Any, maximize: bool, decoupled: bool,
    ) -> Any:
        """Adam and its variants; parameters at the same step together."""
        lists = {"p": params, "g": grads, "mean": exp_avgs, "square": exp_avg_sqs, **(
            {"greatest": max_exp_avg_sqs} if max_exp_avg_sqs else {})}
        if not _fit([*lists.values()], lr, beta1, beta2, weight_decay, *steps) or (
                len(steps) != len(params)):
            return NotImplemented
        variant = (bool(max_exp_avg_sqs), bool(weight_decay), decoupled, maximize)
        for step in dict.fromkeys(steps):
            those = {name: [t for t, s in zip(tensors, steps, strict=True) if s == step]
                     for name, tensors in lists.items()}
            self.run("adam_step", variant, those, ("p", "mean", "square", "greatest"),
                     _adam_numbers(step, lr, beta1, beta2, eps, weight_decay, decoupled),
                     lambda: _adam_steps(*variant))
        return (*params, *exp_avgs, *exp_avg_sqs, *max_exp_avg_sqs)


def _sgd_steps(
    has_momentum: bool, has_decay: bool, nesterov: bool, maximize: bool
) -> ElementSteps:
    steps: ElementSteps = (_gradient(has_decay, maximize),)
    way = "grad"
    if has_momentum:
        steps += (Let("moved", "buffer * momentum + grad * kept"), StoreRow("buffer", "moved"))
        way = "(grad + moved * momentum)" if nesterov else "moved"
    return (*steps, StoreRow("p", f"p - {way} * lr"))


def _gradient(has_decay: bool, maximize: bool) -> Let:
    """The gradient, with the weight decay that adds to it."""
    grad = "-g" if maximize else "g"
    return Let("grad", f"{grad} + p * decay" if has_decay else grad)


def _adam_steps(
    has_greatest: bool, has_decay: bool, decoupled: bool, maximize: bool
) -> ElementSteps:
    steps: ElementSteps = (
        _gradient(has_decay and not decoupled, maximize),
        Let("new_mean", "mean + (grad - mean) * fresh1"), StoreRow("mean", "new_mean"),
        Let("new_square", "square * beta2 + grad * grad * fresh2"),
        StoreRow("square", "new_square"))
    square = "new_square"
    if has_greatest:
        square = "new_greatest"
        steps += (Let(square, "maximum(greatest, new_square)"), StoreRow("greatest", square))
    param = "p * shrink" if has_decay and decoupled else "p"
    return (*steps, StoreRow(
        "p", f"{param} - new_mean / (sqrt({square}) / root + eps) * size"))


def _adam_numbers(
    step: float, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float,
    decoupled: bool,
) -> dict[str, float]:
    numbers = {
        "fresh1": 1 - beta1, "beta2": beta2, "fresh2": 1 - beta2,
        "root": math.sqrt(1 - beta2**step), "eps": eps, "size": lr / (1 - beta1**step)}
    if weight_decay:
        numbers |= {"shrink": 1 - lr * weight_decay} if decoupled else {"decay": weight_decay}
    return numbers


# ---- elements ------------------------------------------------------------------------------------
def _fit(lists: Sequence[Tensors], *numbers: Any) -> bool:
    """Whether numbers are numbers, and the lists have equal tensors of floats."""
    return all(isinstance(n, (int, float)) for n in numbers) and (
        len({len(x) for x in lists}) == 1
    ) and all(
        floating_of(*tensors) is not None and len({t.shape for t in tensors}) == 1
        for tensors in zip(*lists, strict=True))


def _work(
    named: dict[str, Strided], written: Sequence[str], numbers: Sequence[str],
    steps: ElementSteps,
) -> Work:
    """Every element is a row."""
    floating: Register = floating_of(*named.values()) or "f32"
    first = next(iter(named.values())).layout
    return Work(
        [Part(name, n, t.layout.offset, tuple(t.layout.strides), ())
         for n, (name, t) in enumerate(named.items())],
        first.shape, (), steps, numbers=tuple((name, floating) for name in numbers),
        written=tuple(n for n, name in enumerate(named) if name in written), floating=floating)
