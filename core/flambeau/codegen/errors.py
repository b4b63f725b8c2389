"""What is raised for a formula that cannot be read or typed."""

from __future__ import annotations

from typing import Final

_SHOWN: Final = 100


class FormulaError(ValueError):
    """A formula is malformed; the message shows it with a caret under the place at fault.

    Attributes:
        reason: what is wrong, in one sentence.
        text: the formula; the canonical text where it was given as a tree.
        column: offset into ``text`` of the place at fault, ``None`` where there is no single one.
    """

    def __init__(self, reason: str, text: str = "", column: int | None = None) -> None:
        self.reason, self.text, self.column = reason, text, column
        super().__init__(reason + self._picture())

    def __reduce__(self) -> tuple[type[FormulaError], tuple[str, str, int | None]]:
        return (type(self), (self.reason, self.text, self.column))

    def _picture(self) -> str:
        if not self.text:
            return ""
        if self.column is None:
            return f"\n    {_clipped(self.text, 0)[0]}"
        start = self.text.rfind("\n", 0, self.column) + 1
        line, column = _clipped(self.text[start:].partition("\n")[0], self.column - start)
        # Tabs are kept, so that the caret stays below its column whatever their width.
        margin = "".join("\t" if c == "\t" else " " for c in line[:column])
        return f"\n    {line}\n    {margin}^"


def _clipped(line: str, column: int) -> tuple[str, int]:
    """A stretch of a long line around a column, and the column within it."""
    start = max(0, column - _SHOWN // 2) if len(line) > _SHOWN else 0
    end = start + _SHOWN
    before, after = "..." if start else "", "..." if end < len(line) else ""
    return before + line[start:end] + after, column - start + len(before)
