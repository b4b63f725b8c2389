"""A device without a kernel: an error by default, the CPU only when asked for, and counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import flambeau as fb
from flambeau import fallback, plugins
from flambeau.backend import KernelTable
from flambeau_cpu.device import CpuBackend


class Partial(CpuBackend):
    """The CPU without exponentials, and with a kernel that declines."""

    name = "partial"
    kernels = KernelTable(
        {k: v for k, v in CpuBackend.kernels.out.items() if k != "exp"}
        | {"tanh": lambda out, x: NotImplemented}, {})


@pytest.fixture(scope="module", autouse=True)
def partial() -> None:
    plugins.register_backend(Partial())


@pytest.fixture(autouse=True)
def policy() -> Iterator[None]:
    yield
    fallback.set_policy("error")
    fallback.reset_counts()


def test_the_error_names_op_device_and_what_to_do() -> None:
    x = fb.ones(2).to("partial")
    with pytest.raises(NotImplementedError, match=r"exp.*'partial'.*register.*cpu.*set_policy"):
        x.exp()
    with pytest.raises(NotImplementedError, match=r"declined these inputs: float32\[2\]"):
        x.tanh()
    assert (x + 1).tolist() == [2, 2] and not fallback.counts()


def test_allowed_and_counted() -> None:
    fallback.set_policy("allow")
    x = fb.ones(2).to("partial").requires_grad_()
    y = x.exp()
    y.sum().backward()
    assert str(y.device) == "partial:0" and x.grad is not None
    assert fallback.counts() == {("exp", "partial"): 1}
    z = fb.ones(2).to("partial")
    z.exp_()
    assert abs(z.tolist()[0] - 2.7182817) < 1e-6
    assert fallback.counts() == {("exp", "partial"): 2}


def test_warns_once() -> None:
    fallback.set_policy("warn")
    x = fb.ones(2).to("partial")
    with pytest.warns(UserWarning, match="exp has no kernel on 'partial'"):
        x.exp()
    x.exp()


def test_unknown_policy() -> None:
    with pytest.raises(ValueError, match="error, warn, allow"):
        fallback.set_policy("maybe")
