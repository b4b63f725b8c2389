"""The models of level 4, small enough for the oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

Data = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class Training:
    """One training: a model, its data, its loss and its optimizer."""

    model: Callable[[], Any]
    data: Callable[[np.random.Generator], Data]
    loss: Callable[[Any, Any], Any]
    optimizer: Callable[[Any], Any]


def _mlp() -> Any:
    from flambeau import nn

    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.ReLU(),
                         nn.Linear(16, 3))


def _cnn() -> Any:
    from flambeau import nn

    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3),
    )


def _gru() -> Any:
    from flambeau import nn

    class Last(nn.Module):
        """A recurrent layer, and a linear one on its last output."""

        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(4, 8, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            """Logits of sequences of shape (batch, time, 4)."""
            outputs, _ = self.gru(x)
            return self.head(outputs[:, -1])

    return Last()


def _transformer() -> Any:
    from flambeau import nn

    class Block(nn.Module):
        """One encoder layer, averaged over time, and a linear head."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            """Logits of sequences of shape (batch, time, 8)."""
            return self.head(self.layer(x).mean(1))

    return Block()


def _classes(shape: tuple[int, ...], random: np.random.Generator) -> Data:
    """Inputs of three classes, told apart by their mean."""
    targets = np.arange(12) % 3
    inputs = random.normal(0, 0.5, (12, *shape))
    return inputs + (targets - 1).reshape(-1, *[1] * len(shape)), targets


def _numbers(random: np.random.Generator) -> Data:
    inputs = random.normal(0, 1, (16, 6))
    return inputs, np.stack([inputs[:, 0] * inputs[:, 1], inputs[:, 2], -inputs[:, 3]], 1)


def _cross_entropy(output: Any, target: Any) -> Any:
    from flambeau.nn import functional

    return functional.cross_entropy(output, target)


def _mse(output: Any, target: Any) -> Any:
    from flambeau.nn import functional

    return functional.mse_loss(output, target)


def _sgd(parameters: Any) -> Any:
    from flambeau import optim

    return optim.SGD(parameters, lr=0.1, momentum=0.9)


def _adam(parameters: Any) -> Any:
    from flambeau import optim

    return optim.Adam(parameters, lr=0.01)


TRAININGS: Final = {
    "mlp": Training(_mlp, _numbers, _mse, _adam),
    "cnn": Training(_cnn, partial(_classes, (1, 8, 8)), _cross_entropy, _sgd),
    "gru": Training(_gru, partial(_classes, (5, 4)), _cross_entropy, _adam),
    # Not Adam: the gradient of the keys' bias is 0, and Adam would make steps of its rounding.
    "transformer": Training(_transformer, partial(_classes, (5, 8)), _cross_entropy, _sgd),
}
