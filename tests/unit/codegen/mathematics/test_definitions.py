"""What the definitions are made of, and that they give what every target must give."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flambeau.codegen import FUNCTIONS, Call, Category, Expression, free_names, infer, parse, walk
from flambeau.codegen.intrinsics import INTRINSICS
from flambeau.codegen.mathematics import (
    CALLABLE,
    PARAMETERS,
    complex_definition,
    definition,
)
from flambeau.codegen.mathematics.complex_numbers import TEXTS as COMPLEX
from flambeau.codegen.mathematics.evaluation import evaluate_definition, evaluate_in_width

PRECISIONS = ["f32", "f64"]
BASIC = {"fma", "sqrt", "floor", "ceil", "trunc", "round", "fmod", "abs"}
ANSWERED_BY_THE_TARGET = BASIC | {
    "conj", "floor_divide", "imag", "isinf", "isnan", "maximum", "minimum", "real", "remainder",
    "sign", "trunc_divide",
}  # fmt: skip


def called(tree: Expression) -> set[str]:
    return {node.function for node in walk(tree) if isinstance(node, Call)}


def test_every_function_of_the_language_is_defined_or_exact() -> None:
    defined = {name for name in PARAMETERS if name in FUNCTIONS}
    assert defined == FUNCTIONS.keys() - ANSWERED_BY_THE_TARGET
    for name in defined:
        assert len(PARAMETERS[name]) == FUNCTIONS[name].arity


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_definition_is_typed_and_uses_only_what_targets_have(name: str, precision: str) -> None:
    tree = definition(name, precision)
    categories = dict.fromkeys(PARAMETERS[name], Category.FLOATING)
    assert free_names(tree) == set(PARAMETERS[name])
    assert infer(tree, categories, CALLABLE) is Category.FLOATING
    assert called(tree) <= BASIC | INTRINSICS.keys() | PARAMETERS.keys()
    assert parse(str(tree)) == tree


@pytest.mark.parametrize("precision", PRECISIONS)
def test_definitions_do_not_call_in_circles(precision: str) -> None:
    def depth(name: str, above: tuple[str, ...]) -> int:
        assert name not in above, " -> ".join([*above, name])
        others = called(definition(name, precision)) & PARAMETERS.keys()
        return 1 + max((depth(other, (*above, name)) for other in others), default=0)

    assert max(depth(name, ()) for name in PARAMETERS) <= 3


@pytest.mark.parametrize("name", COMPLEX)
def test_a_complex_definition_is_typed_and_holds_for_both_precisions(name: str) -> None:
    names = ("re", "im", "re2", "im2") if name in ("pow", "divide") else ("re", "im")
    for tree in complex_definition(name):
        assert free_names(tree) <= set(names)
        categories = dict.fromkeys(names, Category.FLOATING)
        assert infer(tree, categories, CALLABLE) is Category.FLOATING
        assert called(tree) <= BASIC | INTRINSICS.keys() | PARAMETERS.keys()


def test_every_function_that_takes_complex_numbers_is_defined_for_them() -> None:
    takes = {name for name, row in FUNCTIONS.items() if row.limit is Category.COMPLEX}
    assert takes - {"real", "imag", "conj", "isnan", "isinf"} == COMPLEX.keys() - {"divide"}


def test_unknown_functions() -> None:
    with pytest.raises(KeyError):
        definition("gamma", "f32")
    with pytest.raises(KeyError):
        complex_definition("erf")


def test_intrinsics_are_no_part_of_the_language_of_ops() -> None:
    assert not INTRINSICS.keys() & FUNCTIONS.keys()
    with pytest.raises(ValueError, match="unknown function 'as_bits'"):
        infer("as_bits(x)", {"x": Category.FLOATING})


@pytest.mark.parametrize(
    ("text", "precision", "value", "expected"),
    [
        ("as_bits(x) >> 23", "f32", 1.0, 127),
        ("as_bits(x) >> 52", "f64", 1.0, 1023),
        ("as_bits(x) < 0", "f32", -0.0, True),
        ("from_bits(1065353216)", "f32", 0.0, 1.0),
        ("from_bits(127 << 23)", "f32", 0.0, 1.0),
        ("from_bits(0x3ff0000000000000)", "f64", 0.0, 1.0),
        ("to_integer(x)", "f32", -2.75, -2),
        ("to_floating(16777217)", "f32", 0.0, 16777216.0),
        ("to_floating(16777219)", "f32", 0.0, 16777220.0),
        ("to_floating(9007199254740993)", "f64", 0.0, 2.0**53),
        ("to_integer(x) * 65536 * 65536", "f32", 1.0, 0),
        ("to_integer(x) * 65536 * 65536", "f64", 1.0, 2**32),
        ("2147483647 + to_integer(x)", "f32", 1.0, -(2**31)),
        ("fma(x, 2, 1)", "f32", 1.5, 4.0),
    ],
)
def test_integers_are_as_wide_as_floats(
    text: str, precision: str, value: float, expected: float
) -> None:
    found = evaluate_in_width(text, precision, {"x": value})
    assert found == expected
    assert found.shape == ()


def test_a_definition_calls_definitions() -> None:
    x = np.array([[0.25, 0.75], [1.5, -3.0]], np.float64)
    found = evaluate_in_width("t = sin(x); t * sin(x)", "f64", {"x": x})
    expected = evaluate_definition("sin", "f64", x)
    assert np.array_equal(found, expected * expected)
    assert np.allclose(expected, np.sin(x), rtol=1e-15, atol=0)


def test_operands_broadcast() -> None:
    found = evaluate_definition("pow", "f32", np.ones((2, 1)) * 2, [1.0, 2.0, 3.0])
    assert found.tolist() == [[2.0, 4.0, 8.0]] * 2
    assert found.dtype == np.float32


def test_nothing_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, flambeau.codegen.mathematics as m; "
        "print(sorted(n for n in sys.modules if n.startswith(m.__name__ + '.')))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['flambeau.codegen.mathematics.formats']"


def test_examples_of_the_page() -> None:
    page = Path(__file__).parents[4] / "docs" / "mathematics.md"
    failures, run = doctest.testfile(str(page), module_relative=False, verbose=False)
    assert (failures, run) == (0, 4)
