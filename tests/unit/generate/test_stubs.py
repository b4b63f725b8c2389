"""The stubs are those that the registry gives, and a type checker learns from them."""

from __future__ import annotations

import re
import subprocess
import sys

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


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy says of a right and a wrong program, as their users see it."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("typed")
    (folder / "right.py").write_text(PROGRAM)
    (folder / "wrong.py").write_text(PROGRAM + "\n".join(WRONG))
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "cache", "."]
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


def test_a_typed_program_passes(complaints: str) -> None:
    assert "wrong.py" in complaints
    assert "right.py" not in complaints


def test_wrong_calls_are_found(complaints: str) -> None:
    start = PROGRAM.count("\n") + 1
    for line, expected in enumerate(WRONG.values(), start):
        assert re.search(rf"wrong.py:{line}: error: .*{expected}", complaints), complaints
    assert complaints.count(" error: ") == len(WRONG), complaints
