"""The backend is found by name, keeps flambeau's memory over MLX's arrays, and trains."""

import ast
import copy
import importlib.util
import os
import time
from pathlib import Path

import pytest

import flambeau as fb
from flambeau import fallback, nn


def test_found_by_name() -> None:
    x = fb.arange(6.0).reshape(2, 3).to("mlx")
    assert str(x.device) == "mlx:0"
    assert (x @ x.t()).tolist() == [[5, 14], [14, 50]]


def test_a_view_sees_what_is_written_through_another() -> None:
    x = fb.zeros(3, 4, device="mlx")
    turned, odd = x.t(), x[:, 1::2]
    odd += 1
    x[0] = 5
    assert turned.tolist() == [[5, 0, 0], [5, 1, 1], [5, 0, 0], [5, 1, 1]]
    assert odd.tolist() == [[5, 5], [1, 1], [1, 1]]


def test_a_result_is_an_mlx_array_that_nothing_was_copied_from() -> None:
    import mlx.core as mx

    y = fb.ones(3, device="mlx").exp()
    array = y.native().read()
    assert isinstance(array, mx.array) and y.view(3).native().read() is array


@pytest.mark.parametrize("name", ["float64", "complex128"])
def test_dtypes_that_mlx_does_not_have(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} is not supported on device mlx:0"):
        fb.ones(2, dtype=getattr(fb, name)).to("mlx")


def test_bfloat16_and_its_bits() -> None:
    x = fb.tensor([1.0, -2.5], dtype=fb.bfloat16, device="mlx") * 2
    assert x.cpu().tolist() == [2.0, -5.0]
    assert x.view(fb.int16).tolist() == x.cpu().view(fb.int16).tolist()


def test_an_index_out_of_bounds_is_told_when_the_device_is_waited_for() -> None:
    x = fb.ones(3, device="mlx")
    with pytest.raises(IndexError, match="7 is out of bounds for dimension 0 with size 3"):
        x.gather(0, fb.tensor([7], device="mlx")).tolist()
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        (fb.tensor([4], device="mlx") % fb.tensor([0], device="mlx")).tolist()
    assert (x + 1).tolist() == [2, 2, 2]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_told_and_does_not_hang() -> None:
    x = fb.ones(2, device="mlx")
    x.tolist()
    child = os.fork()
    if child == 0:
        try:
            (x + 1).tolist()
        except RuntimeError as error:
            os._exit(0 if "spawn" in str(error) else 2)
        os._exit(3)
    for _ in range(300):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    pytest.fail("the child hangs")


def losses(model: nn.Module, device: str) -> list[float]:
    """Of a few steps from the same weights and images."""
    net = copy.deepcopy(model).to(device)
    fb.manual_seed(1)
    x, y = fb.rand(16, 1, 8, 8).to(device), fb.randint(0, 4, (16,)).to(device)
    optimizer = fb.optim.Adam(net.parameters(), lr=0.01)
    found = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def test_a_network_trains_as_on_the_cpu_and_nothing_runs_there() -> None:
    fb.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(128, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 4))
    fallback.reset_counts()
    ours, theirs = losses(model, "mlx"), losses(model, "cpu")
    assert ours == pytest.approx(theirs, rel=1e-4) and ours[-1] < 0.8 * ours[0]
    assert fallback.counts() == {}


def test_statistics_that_nobody_reads_do_not_keep_every_step_alive() -> None:
    import mlx.core as mx

    norm, x = nn.BatchNorm1d(256).to("mlx"), fb.rand(512, 256)
    norm(x.to("mlx")).cpu()
    before = mx.get_active_memory()
    for _ in range(200):
        norm(x.to("mlx"))
    assert mx.get_active_memory() - before < 40 * x.nbytes


def test_it_imports_nothing_of_flambeau_but_the_plugin_api() -> None:
    spec = importlib.util.find_spec("flambeau_mlx")
    assert spec is not None and spec.origin is not None
    files = list(Path(spec.origin).parent.rglob("*.py"))
    assert len(files) > 5
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [
                a.name for a in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                root = str(name).split(".")[0]
                assert root != "flambeau" or str(name).startswith("flambeau.backend"), file
                assert root != "numpy", file
