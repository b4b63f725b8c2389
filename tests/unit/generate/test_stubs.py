"""The stubs are those that the registry gives, and a type checker learns from them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from generate.__main__ import ROOT

PROGRAM = """
import flambeau as fb
import flambeau.nn.functional as F
from flambeau import nn, optim


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.second = nn.Linear(8, 2)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        result: fb.Tensor = self.second(F.relu(self.first(x)))
        return result


def train(steps: int) -> fb.Tensor:
    net = Net()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    x, y = fb.randn(16, 4), fb.randint(0, 2, (16,))
    loss = fb.zeros(())
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
    best, _ = fb.sort((x * 2 + 1).sum(dim=1, keepdim=True), descending=True)
    return loss + best[0] + fb.linalg.qr(x).R.mean() + fb.special.erf(x).amax()
"""
WRONG = {
    "fb.matmul(fb.ones(2))": 'Missing positional argument "other"',
    'fb.ones(2).sum(dim="a")': 'Argument "dim" to "sum" .* incompatible type "str"',
    "fb.nothing": 'Module has no attribute "nothing"',
    "fb.ones(2).nothing()": '"Tensor" has no attribute "nothing"',
    "F.relu(fb.ones(2), inplaec=True)": 'Unexpected keyword argument "inplaec"',
    "fb.linalg.qr(3)": 'Argument 1 to "qr" has incompatible type "int"',
    "fb.fft.fft(fb.ones(2)).conj(1)": 'Too many arguments for "conj"',
    "text: str = fb.ones(2) + 1": 'expression has type "Tensor", variable has type "str"',
}


def checked(folder: Path, program: str) -> str:
    """What mypy says of a program, as its user sees it."""
    pytest.importorskip("mypy")
    (folder / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "cache", "program.py"]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert not found.stderr
    return found.stdout


def test_stubs_are_up_to_date() -> None:
    code = (
        "from generate import stubs\n"
        "for path, text in stubs.stubs().items():\n"
        "    if path.read_text() != text: print(path)\n"
    )
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert (found.stdout, found.returncode) == ("", 0), "run `python -m generate`" + found.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("typed")


def test_a_typed_program_passes(folder: Path) -> None:
    assert "Success" in checked(folder, PROGRAM)


def test_wrong_calls_are_found(folder: Path) -> None:
    start = PROGRAM.count("\n") + 1
    complaints = checked(folder, PROGRAM + "\n".join(WRONG))
    for line, expected in enumerate(WRONG.values(), start):
        assert re.search(rf"program.py:{line}: error: .*{expected}", complaints), complaints
    assert complaints.count(" error: ") == len(WRONG), complaints
