"""The backend is found by name, does the work itself, and trains."""

import pytest

import flambeau as fb
from flambeau import nn


def test_found_by_name_and_counts_its_calls() -> None:
    x = fb.ones(2, 3).to("toy")
    from flambeau_toy.kernels import calls

    before = calls["exp"]
    y = x.exp()
    assert str(y.device) == "toy:0" and calls["exp"] == before + 1
    assert abs(y.cpu()[0, 0].item() - 2.718281828) < 1e-6


def test_trains_on_the_device() -> None:
    from flambeau_toy.kernels import calls

    fb.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1)).to("toy")
    x = fb.rand(64, 2)
    y = (x[:, :1] * x[:, 1:]).to("toy")
    x = x.to("toy")
    optimizer = fb.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    assert calls["matmul"] > 100 and all(str(p.device) == "toy:0" for p in model.parameters())


def test_unsupported_dtype_is_a_clear_error() -> None:
    with pytest.raises(TypeError, match="float16 is not supported on device toy:0; it holds: bool"):
        fb.ones(2, dtype=fb.float16).to("toy")
