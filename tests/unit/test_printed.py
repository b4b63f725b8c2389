"""Tensors printed as PyTorch printed them, by the texts in printed.json; torch is not needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import flambeau as fb

PRINTED: dict[str, Any] = json.loads((Path(__file__).parent / "printed.json").read_text())


def _joined(text: str) -> str:
    """With a dtype on the line before: the name of this library is longer than that of PyTorch."""
    head, found, tail = text.rpartition("dtype=")
    return head.rstrip() + " " + found + " ".join(tail.split()) if found else text


@pytest.mark.parametrize(
    "case", PRINTED["cases"], ids=lambda case: f"{case['expression']}-{case['options']}")
def test_printed_as_by_torch(case: dict[str, Any]) -> None:
    with fb.printoptions(**case["options"]):
        assert _joined(repr(eval(case["expression"], {"T": fb}))) == _joined(case["text"])


def test_the_file_covers_what_is_promised() -> None:
    assert len(PRINTED["cases"]) >= 100
    texts = "\n".join(case["text"] for case in PRINTED["cases"])
    for words in ("dtype=flambeau.", "requires_grad=True", "grad_fn=<", "size=(", "device='meta'",
                  "nan", "-inf", "j,", "e-05", "...", "True", "tensor([])"):
        assert words in texts
