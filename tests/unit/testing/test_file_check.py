"""``FileCheck`` accepts and refuses what torch's does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from flambeau.testing import FileCheck

TEXT = "a b c\nd e\nf a g\nh a\n"
MARKED = "x = foo(1)\n    ~~~ <--- HERE\n"
CASES: list[tuple[bool, Callable[[Any], Any], str]] = [
    (True, lambda c: c.check("a").check("e"), TEXT),
    (False, lambda c: c.check("e").check("b"), TEXT),
    (True, lambda c: c.check_not("z").check("a"), TEXT),
    (False, lambda c: c.check("a").check_not("e").check("g"), TEXT),
    (False, lambda c: c.check_not("a").check_not("b"), TEXT),
    (False, lambda c: c.check("d").check_not("a"), TEXT),
    (True, lambda c: c.check_count("a", 3, exactly=True), TEXT),
    (False, lambda c: c.check_count("a", 2, exactly=True), TEXT),
    (True, lambda c: c.check_count("a", 2), TEXT),
    (False, lambda c: c.check_count("a", 4), TEXT),
    (True, lambda c: c.check_count("z", 0, exactly=True), TEXT),
    (True, lambda c: c.check("b").check_next("e"), TEXT),
    (False, lambda c: c.check("b").check_next("g"), TEXT),
    (True, lambda c: c.check("b").check_same("c"), TEXT),
    (False, lambda c: c.check("b").check_same("e"), TEXT),
    (True, lambda c: c.check_dag("e").check_dag("b").check("g"), TEXT),
    (False, lambda c: c.check_dag("e").check_dag("z"), TEXT),
    (False, lambda c: c.check_dag("e").check_not("f").check_dag("g"), TEXT),
    (True, lambda c: c.check_regex(r"f\s+a"), TEXT),
    (False, lambda c: c.check_regex(r"zz+"), TEXT),
    (True, lambda c: c.check_source_highlighted("foo"), MARKED),
    (False, lambda c: c.check_source_highlighted("(1)"), MARKED),
    (False, lambda c: c, TEXT),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_texts(case: int) -> None:
    torch = pytest.importorskip("torch")
    passes, build, text = CASES[case]
    for kind in (FileCheck, torch.testing.FileCheck):
        check = build(kind())
        if passes:
            check.run(text)
        else:
            with pytest.raises(RuntimeError):
                check.run(text)


def test_messages_name_the_piece() -> None:
    with pytest.raises(RuntimeError, match='find "b" but did not find it(.|\n)*From CHECK: b'):
        FileCheck().check("e").check("b").run(TEXT)
    with pytest.raises(RuntimeError, match=re.escape('not find "e" but found it')):
        FileCheck().check("a").check_not("e").check("g").run(TEXT)
    with pytest.raises(ValueError, match="asks nothing"):
        FileCheck().check_count("a", 0)


@pytest.mark.parametrize(
    ("checks", "passes"),
    [
        ("# CHECK: d\n# CHECK-NOT: q\n# CHECK-NEXT: f\n# CHECK-COUNT-1: h\n", True),
        ("# CHECK: d\n# CHECK-NOT: f\n# CHECK: h\n", False),
        ("# CHECK-COUNT-EXACTLY-2: a\n", False),
        ("# CHECK-COUNT-EXACTLY-3: a\n", True),
        ("nothing\n", False),
    ],
)
def test_pieces_from_comments(checks: str, passes: bool) -> None:
    torch = pytest.importorskip("torch")
    for kind in (FileCheck, torch.testing.FileCheck):
        if passes:
            kind().run(checks, TEXT)
        else:
            with pytest.raises(RuntimeError):
                kind().run(checks, TEXT)
