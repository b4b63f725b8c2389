"""What an operation costs besides its arithmetic, against PyTorch in one run.

    python benchmarks/overhead.py --output overhead.json
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from side_by_side import Case, main

CASES: dict[str, Case] = {}


def case(make: Case) -> Case:
    """Register a case under its name."""
    CASES[make.__name__] = make
    return make


def values(T: Any, *shape: int, grad: bool = False) -> Any:
    x = T.from_numpy(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))
    return x.requires_grad_() if grad else x


@case
def add(T: Any) -> Callable[[], Any]:
    a, b = values(T, 4, 4), values(T, 4, 4)
    return lambda: a + b


@case
def add_recorded(T: Any) -> Callable[[], Any]:
    a, b = values(T, 4, 4, grad=True), values(T, 4, 4)
    return lambda: a + b


@case
def add_number(T: Any) -> Callable[[], Any]:
    a = values(T, 4, 4)
    return lambda: a + 1.0


@case
def add_in_place(T: Any) -> Callable[[], Any]:
    a, b = T.zeros(4, 4), T.zeros(4, 4)
    return lambda: a.add_(b)


@case
def chain_of_20_forward(T: Any) -> Callable[[], Any]:
    a, b = values(T, 4, 4, grad=True), values(T, 4, 4)

    def chain() -> Any:
        x = a
        for _ in range(10):
            x = x * b
            x = x + b
        return x.sum()

    return chain


@case
def chain_of_20_and_backward(T: Any) -> Callable[[], Any]:
    forward = chain_of_20_forward(T)
    return lambda: forward().backward()


@case
def exp(T: Any) -> Callable[[], Any]:
    a = values(T, 4, 4)
    return lambda: a.exp()


@case
def view(T: Any) -> Callable[[], Any]:
    a = values(T, 4, 4)
    return lambda: a.view(16)


@case
def transpose(T: Any) -> Callable[[], Any]:
    a = values(T, 4, 4)
    return lambda: a.transpose(0, 1)


@case
def index(T: Any) -> Callable[[], Any]:
    a = values(T, 4, 4)
    return lambda: a[1]


@case
def slice_rows(T: Any) -> Callable[[], Any]:
    a = values(T, 4, 4)
    return lambda: a[1:3]


def changing(T: Any, take: Callable[[Any, int], Any], grad: bool = False) -> Callable[[], Any]:
    """A view at another place in every call."""
    x, at = values(T, 50_000, 4, grad=grad), 0

    def call() -> Any:
        nonlocal at
        at = (at + 1) % 49_000
        return take(x, at)

    return call


@case
def changing_index(T: Any) -> Callable[[], Any]:
    return changing(T, lambda x, i: x[i])


@case
def changing_index_recorded(T: Any) -> Callable[[], Any]:
    return changing(T, lambda x, i: x[i], grad=True)


@case
def changing_slice(T: Any) -> Callable[[], Any]:
    return changing(T, lambda x, i: x[i : i + 8])


@case
def unbind_64(T: Any) -> Callable[[], Any]:
    x = values(T, 64, 4)
    return lambda: x.unbind(0)


@case
def split_8(T: Any) -> Callable[[], Any]:
    x = values(T, 64, 4)
    return lambda: x.split(8)


@case
def reshape_recorded(T: Any) -> Callable[[], Any]:
    x = values(T, 4, 4, grad=True)
    return lambda: x.reshape(2, 8)


@case
def add_to_view_recorded(T: Any) -> Callable[[], Any]:
    x, y = (values(T, 4, 4, grad=True) * 1).view(16), values(T, 16)
    return lambda: x + y


@case
def stack_64(T: Any) -> Callable[[], Any]:
    parts = [values(T, 4) for _ in range(64)]
    return lambda: T.stack(parts)


@case
def cat_2(T: Any) -> Callable[[], Any]:
    parts = [values(T, 4, 4) for _ in range(2)]
    return lambda: T.cat(parts, 1)


@case
def multiply_number_recorded(T: Any) -> Callable[[], Any]:
    x = values(T, 4, 4, grad=True)
    return lambda: x * 0.1


@case
def multiply_number_in_place(T: Any) -> Callable[[], Any]:
    x = T.zeros(4, 4)
    return lambda: x.mul_(0.9)


@case
def divide_broadcast_in_place(T: Any) -> Callable[[], Any]:
    x, y = T.zeros(4, 4), T.ones(4, 1)
    return lambda: x.div_(y)


@case
def add_scaled_in_place(T: Any) -> Callable[[], Any]:
    x, y = T.zeros(4, 4), T.zeros(4, 4)
    return lambda: x.add_(y, alpha=0.1)


@case
def clone(T: Any) -> Callable[[], Any]:
    x = values(T, 4, 4)
    return lambda: x.clone()


@case
def tensor_of_number(T: Any) -> Callable[[], Any]:
    return lambda: T.tensor(2.0)


@case
def sum_all(T: Any) -> Callable[[], Any]:
    a = values(T, 4, 4)
    return lambda: a.sum()


@case
def item(T: Any) -> Callable[[], Any]:
    a = values(T, 1)
    return lambda: a.item()


@case
def zeros(T: Any) -> Callable[[], Any]:
    return lambda: T.zeros(4, 4)


@case
def matmul(T: Any) -> Callable[[], Any]:
    a, b = values(T, 4, 4), values(T, 4, 4)
    return lambda: a @ b


@case
def linear(T: Any) -> Callable[[], Any]:
    layer, x = T.nn.Linear(4, 4), values(T, 2, 4)
    return lambda: layer(x)


@case
def linear_and_backward(T: Any) -> Callable[[], Any]:
    layer, x = T.nn.Linear(4, 4), values(T, 2, 4)
    return lambda: layer(x).sum().backward()


def steps(T: Any, make: Callable[[list[Any]], Any]) -> Callable[[], Any]:
    parameters = [T.nn.Parameter(values(T, 16, 16)) for _ in range(50)]
    for p in parameters:
        p.grad = values(T, 16, 16)
    step: Callable[[], Any] = make(parameters).step
    return step


@case
def sgd_50_parameters(T: Any) -> Callable[[], Any]:
    return steps(T, lambda p: T.optim.SGD(p, lr=1e-6))


@case
def adam_50_parameters(T: Any) -> Callable[[], Any]:
    return steps(T, lambda p: T.optim.Adam(p, lr=1e-6))


@case
def clip_50_gradients(T: Any) -> Callable[[], Any]:
    parameters = [T.nn.Parameter(values(T, 16, 16)) for _ in range(50)]
    for p in parameters:
        p.grad = values(T, 16, 16)
    return lambda: T.nn.utils.clip_grad_norm_(parameters, 1.0)


@case
def demo_step_batch_64(T: Any) -> Callable[[], Any]:
    """A whole training step of the digits demo: forward, loss, backward, Adam."""
    nn = T.nn
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(512, 10),
    )
    optimizer = T.optim.Adam(model.parameters(), lr=3e-3)
    images = values(T, 64, 1, 8, 8)
    labels = T.from_numpy(np.random.default_rng(1).integers(0, 10, 64))

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main(CASES, "overhead of small operations", __doc__)
