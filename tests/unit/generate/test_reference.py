"""The pages of the reference are those that the registry gives, and their examples are true."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from generate import example, reference
from generate.__main__ import REFERENCE

import flambeau as fb
from flambeau.registry import OPS, all_ops

PAGES = sorted(REFERENCE.glob("*.md"))
FENCE = re.compile(r"```pycon\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return reference.pages()


def test_pages_are_up_to_date(pages: dict[str, str]) -> None:
    assert {p.name for p in PAGES} == set(pages), "run `python -m generate`"
    stale = [p.name for p in PAGES if not example.same_text(p.read_text(), pages[p.name])]
    assert not stale, "run `python -m generate`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_print_what_they_say(page: Path) -> None:
    for block in FENCE.findall(page.read_text()):
        typed = [line for line in block.splitlines() if line.startswith((">>> ", "... "))]
        statements = "\n".join(line[4:] if line[0] == "." else line for line in typed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what an op warns of is no part of its example
            printed = example.run(statements.split(">>> ")[1:])
        expected = block.removeprefix("\n".join(typed) + "\n")
        assert example.same_text(printed or "", expected), block


def test_every_public_op_has_an_example() -> None:
    public = [op for op in all_ops() if example.public_name(op)]
    written = "".join(page.read_text() for page in PAGES)
    lacking = [
        op.name
        for op in public
        if "```pycon" not in written.split(f"## {op.name} {{")[1].split("\n## ")[0]
    ]
    assert lacking == []


def test_numbers_may_differ_in_the_last_digit_and_texts_not_at_all() -> None:
    assert example.same_text("tensor([1.2346, -0.5])", "tensor([1.2345, -0.5])")
    assert example.same_text("tensor([9.6503e-02])", "tensor([9.6504e-02])")
    assert example.same_text("tensor([1.2346+2.0000j])", "tensor([1.2345+2.0000j])")
    assert not example.same_text("tensor([1.2346])", "tensor([1.2366])")
    assert not example.same_text("tensor([3])", "tensor([4])")
    assert not example.same_text("tensor([1.0])", "tensor([1.0, 2.0])")
    assert not example.same_text("fb.exp(x)", "fb.exp2(x)")


def test_an_example_is_the_first_readable_sample_of_the_op() -> None:
    lines = (example.example(OPS["add"]) or "").splitlines()
    assert ">>> fb.add(input, other)" in lines
    made = "\n".join(lines[:6]).replace(">>> ", "").replace("... ", "")
    scope: dict[str, Any] = {"fb": fb}
    exec(made, scope)
    total = fb.add(scope["input"], scope["other"])
    assert repr(total) == "\n".join(lines[-3:])
