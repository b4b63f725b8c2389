"""How many kernels a training step launches on a device with groups: a bound that fusion keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from recorder import GPU, Recorder

import flambeau as fb
from flambeau import nn
from flambeau.backend.generated import Cuda
from flambeau.nn import functional as F
from flambeau.plugins import register_backend


class Last(nn.Module):
    """A recurrent network whose last output is classified."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(32, 10)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        """Logits."""
        made: fb.Tensor = self.head(self.layer(x)[0][:, -1])
        return made


@pytest.fixture(scope="module")
def backend() -> Recorder:
    """A device that counts."""
    made = Recorder("recordedlaunches", Cuda(), GPU)
    register_backend(made)
    return made


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 49, 10))


def block() -> nn.Module:
    return nn.Sequential(
        nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True), nn.Flatten(),
        nn.Linear(12 * 64, 10))


@pytest.mark.parametrize(("make", "shape", "most"), [
    (mlp, (32, 64), 22),  # 8 products, 3 sums of biases, 4 of relu, 4 of the loss, 1 step
    (cnn, (32, 1, 28, 28), 50),
    (block, (8, 12, 64), 75),
    (lambda: Last(nn.GRU(16, 32, batch_first=True)), (8, 20, 16), 110),  # 2 per step each way
    (lambda: Last(nn.LSTM(16, 32, batch_first=True)), (8, 20, 16), 115),
], ids=["mlp", "cnn", "transformer", "gru", "lstm"])
def test_training_step(
    backend: Recorder, make: Callable[[], nn.Module], shape: tuple[int, ...], most: int
) -> None:
    model = make().to("recordedlaunches")
    optimizer = fb.optim.AdamW(model.parameters(), lr=0.01)
    x = fb.zeros(shape, device="recordedlaunches")
    y = fb.zeros((shape[0],), dtype=fb.int64, device="recordedlaunches")
    for _ in range(2):
        backend.launches = 0
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert backend.launches <= most
