"""The examples run, and the page on the language is complete."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from flambeau.codegen import FUNCTIONS
from flambeau.codegen.lexer import FOREIGN
from flambeau.codegen.parser import CONSTANTS, MAX_DEPTH
from flambeau.codegen.printing import PRECEDENCE

PAGE = Path(__file__).parents[3] / "docs" / "formula-language.md"


def test_examples_of_the_page() -> None:
    failures, run = doctest.testfile(str(PAGE), module_relative=False, verbose=False)
    assert (failures, run > 10) == (0, True)


@pytest.mark.parametrize("module", ["substitution", "folding", "reduction"])
def test_examples_in_docstrings(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"flambeau.codegen.{module}"))
    assert (result.failed, result.attempted > 0) == (0, True)


def test_the_page_names_the_whole_language() -> None:
    text = PAGE.read_text(encoding="utf-8").replace("&#124;", "|")
    for name in FUNCTIONS:
        assert f"`{name}`" in text or f"`{name}(" in text, name
    for sign in PRECEDENCE:
        assert f"`{sign}`" in text or f"<code>{sign}</code>" in text, sign
    for name in CONSTANTS:
        assert f"`{name}`" in text, name
    assert f"at most {MAX_DEPTH} deep" in text


def test_foreign_operators_are_no_operators() -> None:
    assert not FOREIGN.keys() & (PRECEDENCE.keys() | CONSTANTS.keys() | FUNCTIONS.keys())
