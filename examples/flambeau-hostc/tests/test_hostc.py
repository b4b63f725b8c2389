"""The backend, as a stranger installs it."""

from __future__ import annotations

import pytest
from flambeau_hostc import compiler
from flambeau_hostc.device import HostC

import flambeau as fb
from flambeau.backend import BackendError
from flambeau.backend.generated import KernelSource

pytestmark = pytest.mark.skipif(compiler.find_compiler() is None, reason="needs a C compiler")


def test_a_step_of_training_equals_the_cpu() -> None:
    def losses(device: str) -> list[float]:
        fb.manual_seed(0)
        net = fb.nn.Sequential(fb.nn.Linear(4, 8), fb.nn.Tanh(), fb.nn.Linear(8, 3)).to(device)
        x, y = fb.randn(6, 4).to(device), fb.tensor([0, 1, 2, 0, 1, 2]).to(device)
        optimizer = fb.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        found = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = fb.nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    assert losses("hostc") == pytest.approx(losses("cpu"), rel=1e-5)


def test_views_share_memory() -> None:
    x = fb.zeros(3, 4, device="hostc")
    x.t()[1:3].add_(2)
    assert x.cpu().tolist() == [[0, 2, 2, 0]] * 3


def test_an_index_out_of_range_is_an_error_and_the_next_call_works() -> None:
    x = fb.arange(4.0, device="hostc")
    with pytest.raises(IndexError, match="out of bounds"):
        x.gather(0, fb.tensor([7], device="hostc"))
    assert x.gather(0, fb.tensor([3], device="hostc")).item() == 3


def test_what_the_compiler_says_is_shown() -> None:
    with pytest.raises(BackendError, match=r"broken.*does not compile"):
        HostC().compile(KernelSource("broken", "void broken( {", (), 1), 0)
