"""Every Python block of the documentation runs.

The blocks of a page run in order, in one process of their own, so that a page reads as one
program.  ``<!-- not run: REASON -->`` on the line above a block leaves it out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^(?P<indent>\s*)```\s*(?P<language>\w*)")
NOT_RUN = re.compile(r"<!-- not run: .+ -->")


def program(text: str) -> tuple[str, int]:
    """The Python blocks of a page at the line numbers they have there, and how many they are."""
    lines, blocks = [], 0
    inside = runs = False
    previous = ""
    for line in text.splitlines():
        fence = FENCE.match(line)
        if fence and not inside:
            inside = True
            runs = fence["language"] in ("python", "py") and not NOT_RUN.search(previous)
            blocks += runs
            assert not (runs and fence["indent"]), f"an indented block is not run: {line!r}"
        elif fence:
            inside = runs = False
        lines.append(line if runs and not fence else "")
        previous = line
    return "\n".join(lines), blocks


WITH_BLOCKS = [page for page in PAGES if program(page.read_text(encoding="utf-8"))[1]]


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    source, _ = program(page.read_text(encoding="utf-8"))
    script = tmp_path / f"{page.stem}.py"
    script.write_text(source, encoding="utf-8")
    command = [sys.executable, str(script)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{page}, line numbers as there:\n{done.stderr}"


def test_blocks_are_found_and_left_out() -> None:
    text = (
        "```python\na = 1\n```\n```sh\nls\n```\n<!-- not run: slow -->\n```python\nb\n```\n"
        "```py\nc = 3\n```\n"
    )
    source, blocks = program(text)
    assert blocks == 2
    assert source.splitlines()[1] == "a = 1"
    assert source.splitlines()[11] == "c = 3"
    assert [line for line in source.splitlines() if line] == ["a = 1", "c = 3"]


def test_the_front_page_has_blocks_that_run() -> None:
    assert ROOT / "README.md" in WITH_BLOCKS
