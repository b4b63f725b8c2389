"""Parts of the levels that mutants do not reach."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as fb
from flambeau import dtypes
from flambeau.autograd import Function
from flambeau.registry import OPS, all_ops
from flambeau.samples import Sample
from flambeau_conformance import oracle
from flambeau_conformance.case import Case, Checks, Skip
from flambeau_conformance.compare import ConformanceFailure
from flambeau_conformance.config import Config
from flambeau_conformance.levels import level5
from flambeau_conformance.levels.differences import check_derivative
from flambeau_conformance.levels.forward import Forward
from flambeau_conformance.make import Maker
from flambeau_conformance.reference import dtypes_of
from flambeau_conformance.tolerances import TABLE, bound, class_of


@pytest.fixture(autouse=True)
def _registered() -> None:
    oracle.register()


# ---- cases ---------------------------------------------------------------------------------------
def test_a_check_that_fails_stops_no_other() -> None:
    def run(check: Checks) -> None:
        with check("1/forward"):
            raise ValueError("one")
        with check("2/forward"):
            pass
        with check("3/forward"):
            raise Skip("not here")

    results = Case("L1/x/float32/forward", run, "x", "float32", "forward").execute()
    assert [(r.id, r.status) for r in results] == [
        ("L1/x/float32/1/forward", "failed"), ("L1/x/float32/2/forward", "passed"),
        ("L1/x/float32/3/forward", "skipped"),
    ]
    assert "ValueError: one" in results[0].detail


def test_what_fails_between_checks_is_a_failure_too() -> None:
    def run(check: Checks) -> None:
        raise RuntimeError("between")

    [result] = Case("L1/x/errors", run).execute()
    assert (result.id, result.status) == ("L1/x/errors/complete", "failed")


# ---- derivatives ---------------------------------------------------------------------------------
class WrongCube(Function):
    """A cube whose derivative is that of a square."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * 2 * x


def test_a_wrong_derivative_is_found() -> None:
    sample = Sample((Maker(dtypes.float64, "cube", grad=True)(3, 4),))
    with pytest.raises(ConformanceFailure, match="central differences give"):
        check_derivative(lambda x: [WrongCube.apply(x)], sample, 0)


def test_a_right_derivative_passes_also_of_expanded_and_complex_tensors() -> None:
    for what in (dtypes.float64, dtypes.complex128):
        make = Maker(what, "cube", grad=True)
        for x in (make(3, 4), make(3, 1).expand(3, 4), make(4, 3).t()):
            assert check_derivative(lambda x: [x * x * x], Sample((x,)), 0)


def test_there_may_be_nothing_to_differentiate() -> None:
    x = Maker(dtypes.float64, "x", grad=True)(3)
    assert not check_derivative(lambda x: [], Sample((x,)), 0)


# ---- errors --------------------------------------------------------------------------------------
def failures_of_errors(errors: Any) -> list[str]:
    import dataclasses

    op = dataclasses.replace(OPS["add"], errors=errors)
    check = Checks("L1/add/errors")
    Forward(Config("cpu"), op, dtypes.float32, check).errors()
    return [r.detail for r in check.results if r.status == "failed"]


def test_calls_that_are_not_refused_are_found() -> None:
    from flambeau.samples import error

    [words] = failures_of_errors(lambda make: iter([error(RuntimeError, "x", make(3), make(3))]))
    assert "not refused" in words


def test_errors_without_the_words_that_help_are_found() -> None:
    from flambeau.samples import error

    [words] = failures_of_errors(
        lambda make: iter([error(RuntimeError, "please", make(3), make(4))]))
    assert "does not match 'please'" in words


# ---- claims --------------------------------------------------------------------------------------
def test_what_holds_and_is_not_claimed_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    config = Config("cpu")
    claims = replace(config.capabilities, deterministic=False)
    monkeypatch.setattr(type(config.backend), "_capabilities", claims)
    [case] = [c for c in level5.cases(config) if c.id == "L5/deterministic"]
    [note] = case.execute()
    assert (note.id, note.status) == ("L5/deterministic/unclaimed", "note")


# ---- tables --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "group"), [
    ("neg", "exact"), ("maximum", "exact"), ("add", "arithmetic"), ("exp", "function"),
    ("sum", "reduction"), ("amax", "exact"), ("matmul", "product"), ("gather", "exact"),
    ("mean", "composite"), ("transpose", "exact"),
])
def test_ops_are_classed_by_their_formulas(name: str, group: str) -> None:
    assert class_of(OPS[name], dtypes.float32) == group


def test_a_wider_type_is_never_allowed_a_greater_error() -> None:
    for group in TABLE:
        errors = [bound(d, group) for d in (dtypes.float16, dtypes.float32, dtypes.float64)]
        assert errors == sorted(errors, reverse=True), group


def test_every_op_says_in_which_dtypes_it_is_tested() -> None:
    assert all(dtypes_of(op) for op in all_ops())


def test_every_op_has_samples() -> None:
    from flambeau.ops import FAMILIES  # ops that other tests have registered are not meant

    own = [op for op in all_ops() if op.family in FAMILIES]
    assert [op.name for op in own if op.samples is None] == []


def test_the_default_dtype_is_as_before_even_after_an_error() -> None:
    from flambeau_conformance.reference import exact

    def divide() -> None:
        with exact():
            assert fb.get_default_dtype() is dtypes.float64
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        divide()
    assert fb.get_default_dtype() is dtypes.float32
