"""Write what is derived anew: ``python -m generate [stubs] [reference] [parity]``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"


def texts(part: str) -> dict[Path, str]:
    """What a part writes, by file."""
    if part == "stubs":
        from generate import stubs

        return stubs.stubs()
    if part == "parity":
        from generate import parity

        return {ROOT / "docs" / "parity.md": parity.page()}
    from generate import reference

    return {REFERENCE / name: text for name, text in reference.pages().items()}


PARTS = ("stubs", "reference", "parity")


def main(*parts: str) -> None:
    """Write the files that differ; remove pages of families that are no more."""
    for part in parts or PARTS:
        if part not in PARTS:
            sys.exit(f"{part}: not one of {', '.join(PARTS)}")
        made = texts(part)
        for path, text in made.items():
            write(path, text)
        if part == "reference":
            for old in set(REFERENCE.glob("*.md")) - set(made):
                old.unlink()


def write(path: Path, text: str) -> None:
    """Write a file if its text changes."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(*sys.argv[1:])
