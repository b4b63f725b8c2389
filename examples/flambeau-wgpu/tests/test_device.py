"""The backend is found by its name, is complete, and trains."""

import os

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.plugins import backend_for
from flambeau.registry import primitives


def test_it_says_what_it_is(device) -> None:
    info = device.device_info(0)
    assert info["name"] and info["library"].startswith("wgpu ")
    assert str(fb.ones(2).to("wgpu").device) == "wgpu:0"


def test_every_primitive_has_a_kernel() -> None:
    assert {op.name for op in primitives()} <= backend_for("wgpu").kernels.names()


def test_double_precision_is_refused(device) -> None:
    with pytest.raises(TypeError, match="float64 is not supported on device wgpu:0"):
        fb.ones(2, dtype=fb.float64).to("wgpu")


def test_an_index_out_of_range_is_an_error(device) -> None:
    x = fb.arange(5).to("wgpu")
    with pytest.raises(IndexError, match="out of"):
        x.gather(0, fb.tensor([1, 9]).to("wgpu")).cpu()


def test_a_kernel_that_does_not_compile_shows_the_line(device) -> None:
    from flambeau.backend import BackendError
    from flambeau.backend.generated import KernelSource

    with pytest.raises(BackendError, match=r"(?s)'broken' does not compile.*let x = y;"):
        device.compile(KernelSource("broken", "fn broken() { let x = y; }", (), 1), 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_child_is_told_and_does_not_hang(device) -> None:
    x = fb.ones(3).to("wgpu")
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        try:
            (x + 1).cpu()
        except Exception as error:
            os.write(theirs, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(theirs)
    assert b"do not survive a fork" in os.read(ours, 1000)
    os.close(ours)


def test_sources_can_be_printed(device, monkeypatch, capsys) -> None:
    monkeypatch.setenv("FLAMBEAU_DEBUG", "kernels")
    (fb.ones(3, 5).to("wgpu") ** 3.25).cpu()
    assert "@compute @workgroup_size(64)\nfn fb_pow(" in capsys.readouterr().err


def losses_on(place: str) -> list[float]:
    fb.manual_seed(0)
    x = fb.rand(64, 2)
    y = (x[:, :1] * x[:, 1:]).to(place)
    x = x.to(place)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1)).to(place)
    optimizer = fb.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_training_follows_the_cpu(device) -> None:
    found, want = losses_on("wgpu"), losses_on("cpu")
    assert want[-1] < 0.1 * want[0]
    assert found == pytest.approx(want, rel=1e-3, abs=1e-6)
