"""``python -m generate``: write the reference, the type stubs and the page on parity anew."""

from __future__ import annotations

from pathlib import Path

from generate import reference, stubs

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"


def main() -> None:
    """Write all that differs; remove pages of families that are no more."""
    for path, text in stubs.stubs().items():
        write(path, text)
    texts = reference.pages()
    REFERENCE.mkdir(exist_ok=True)
    for old in REFERENCE.glob("*.md"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        write(REFERENCE / name, text)


def write(path: Path, text: str) -> None:
    """Write a file if its text changes."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
