"""Adding an op: one paragraph gives the function, method, in-place and out forms, and the rest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.registry import OPS, composite, primitive
from flambeau.samples import unary, unary_errors


@pytest.fixture
def log_cosh() -> Iterator[None]:
    @composite(
        "log_cosh(Tensor self) -> Tensor", samples=unary(), errors=unary_errors, inplace=True,
    )
    def log_cosh(self: fb.Tensor) -> fb.Tensor:
        """log(cosh(x)), without overflow for large x."""
        return self.abs() + fb.log1p(fb.exp(self.abs() * -2)) - 0.6931471805599453

    yield
    del OPS["log_cosh"], fb.Tensor.log_cosh, fb.Tensor.log_cosh_


@pytest.mark.usefixtures("log_cosh")
def test_a_composite_is_one_paragraph() -> None:
    x = fb.tensor([-2.0, 0.0, 0.5, 1000.0])
    expected = [np.log(np.cosh(v)) if abs(v) < 100 else abs(v) - np.log(2) for v in x.tolist()]
    function = OPS["log_cosh"].function
    np.testing.assert_allclose(function(x).tolist(), expected, atol=1e-6)
    np.testing.assert_allclose(x.log_cosh().tolist(), expected, atol=1e-6)
    out = fb.empty(4)
    assert function(x, out=out) is out
    assert out.tolist() == x.log_cosh().tolist()
    assert x.clone().log_cosh_().tolist() == out.tolist()
    assert fb.empty(3, device="meta").log_cosh().shape == (3,)
    y = fb.tensor([0.3, -1.2], dtype=fb.float64, requires_grad=True)
    assert gradcheck(function, y)
    assert gradgradcheck(function, y)
    assert "without overflow" in (function.__doc__ or "")
    with pytest.raises(TypeError, match=r"log_cosh\(\): argument 'input' .* must be Tensor"):
        function("x")


def test_names_and_derivatives_are_checked_at_registration() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        primitive("exp(Tensor self) -> Tensor", doc="x", rule=lambda self: None)
    with pytest.raises(ValueError, match="asks for 'other', which is no argument or output"):
        primitive(
            "new_op(Tensor self) -> Tensor", doc="x", rule=lambda self: None,
            derivatives={"self": lambda g, other: g})
    with pytest.raises(ValueError, match="needs a doc line"):
        primitive("new_op(Tensor self) -> Tensor", doc="", rule=lambda self: None)
    with pytest.raises(ValueError, match="cannot read argument"):
        primitive("new_op(Tensor) -> Tensor", doc="x", rule=lambda self: None)
