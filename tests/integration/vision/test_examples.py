"""The example programs run as they stand: downloading (from a local mirror), training, testing."""

import runpy
import sys
from pathlib import Path

import pytest

from flambeau.vision import datasets

pytest.importorskip("PIL.Image")
EXAMPLES = Path(__file__).parents[3] / "examples"


def run(name, tmp_path, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [name, "--data", str(tmp_path), *arguments])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


def test_mnist_linear(serve_mnist, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets, "MNIST", serve_mnist(datasets.MNIST))
    run("mnist_linear", tmp_path, monkeypatch, "--batch-size", "4", "--epochs", "3")
    printed = capsys.readouterr().out
    assert "loss of the first step" in printed
    assert "test accuracy" in printed


@pytest.mark.parametrize("workers", ["0", "2"])
def test_cifar10_cnn(workers, serve_cifar, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets, "CIFAR10", serve_cifar(datasets.CIFAR10))
    run("cifar10_cnn", tmp_path, monkeypatch, "--workers", workers, "--epochs", "1")
    printed = capsys.readouterr().out
    assert "Finished Training: loss from" in printed
    assert "Accuracy on the test images" in printed


def test_demo_digits(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    pytest.importorskip("tqdm")
    script = str(EXAMPLES / "demo_digits.py")
    monkeypatch.setattr(sys, "argv", ["demo_digits", "--output", str(tmp_path)])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(script, run_name="__main__")
    assert done.value.code == 0  # 97 % of the test images
    assert (tmp_path / "digits_cpu.png").stat().st_size > 10_000
    assert "test accuracy" in capsys.readouterr().out
