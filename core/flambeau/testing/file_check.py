"""``FileCheck``: does a text hold these pieces, in this order?"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

_IN_FILE = re.compile(
    r"^.*?CHECK(?P<kind>-NOT|-SAME|-NEXT|-DAG|-REGEX|-SOURCE-HIGHLIGHTED|-COUNT)?"
    r"(?P<exact>-EXACTLY)?(?:-(?P<times>\d+))?: ?(?P<text>.*)$"
)
_MARKS = "~"


class _Check(NamedTuple):
    kind: str
    text: str
    times: int = 1
    is_exact: bool = False


class FileCheck:
    """Pieces that a text is to hold, one after the other; ``run`` looks.

    As LLVM's tool of this name: a piece is searched for from where the last one ended.
    """

    def __init__(self) -> None:
        self._checks: list[_Check] = []

    def check(self, text: str) -> FileCheck:
        """The text is to follow."""
        return self._with(_Check("", text))

    def check_not(self, text: str) -> FileCheck:
        """The text is not to stand between the pieces before and behind."""
        return self._with(_Check("-NOT", text))

    def check_same(self, text: str) -> FileCheck:
        """The text is to follow in the same line."""
        return self._with(_Check("-SAME", text))

    def check_next(self, text: str) -> FileCheck:
        """The text is to follow in the next line."""
        return self._with(_Check("-NEXT", text))

    def check_count(self, text: str, count: int, exactly: bool = False) -> FileCheck:
        """The text is to follow a number of times; not again if ``exactly``.

        Raises:
            ValueError: for no times that are not exact, which would ask nothing.
        """
        if count == 0 and not exactly:
            raise ValueError("check_count with a count of 0 asks nothing unless exactly=True")
        return self._with(_Check("-COUNT", text, count, exactly))

    def check_dag(self, text: str) -> FileCheck:
        """The text is to follow; with others added so at once, in any order."""
        return self._with(_Check("-DAG", text))

    def check_regex(self, text: str) -> FileCheck:
        """What the regular expression matches is to follow."""
        return self._with(_Check("-REGEX", text))

    def check_source_highlighted(self, text: str) -> FileCheck:
        """The text is to follow, underlined by ``~`` in the line below."""
        return self._with(_Check("-SOURCE-HIGHLIGHTED", text))

    def _with(self, check: _Check) -> FileCheck:
        self._checks.append(check)
        return self

    def run(self, text: str, test_file: str | None = None) -> None:
        """Look for the pieces in a text.

        Args:
            text: where to look; with ``test_file``, lines such as ``# CHECK: piece``,
                ``CHECK-NOT``, ``CHECK-COUNT-EXACTLY-3`` that say what to look for.
            test_file: where to look, then.

        Raises:
            RuntimeError: naming the piece that is missing, or there; or if there are no pieces.
        """
        checks = self._checks
        if test_file is not None:
            checks, text = [*checks, *_read(text)], test_file
        if not checks:
            raise RuntimeError(
                "No checks have been added to this instance of FileCheck! Check for bad input."
            )
        _Search(text).all(checks)


def _read(text: str) -> list[_Check]:
    """The pieces that comments ask for."""
    found = filter(None, map(_IN_FILE.match, text.splitlines()))
    return [
        _Check(m["kind"] or "", m["text"].strip(), int(m["times"] or 1), bool(m["exact"]))
        for m in found
    ]


class _Search:
    """A text, and how far it has been searched."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def all(self, checks: list[_Check]) -> None:
        """Look for pieces in order; those not to be found wait for where the next one is."""
        unwanted: list[_Check] = []
        i = 0
        while i < len(checks):
            check = checks[i]
            if check.kind == "-NOT":
                unwanted.append(check)
                i += 1
                continue
            group = [check]
            while (
                check.kind == "-DAG"
                and i + len(group) < len(checks)
                and (checks[i + len(group)].kind == "-DAG")
            ):
                group.append(checks[i + len(group)])
            before = self.at
            first = self._group(group) if check.kind == "-DAG" else self._one(check)
            self._refuse(unwanted, before, first)
            unwanted = []
            i += len(group)
        self._refuse(unwanted, self.at, len(self.text))

    def _group(self, checks: list[_Check]) -> int:
        """Pieces in any order; gives where the first of them stands."""
        spans = [self._find(check, self.at) for check in checks]
        self.at = max(end for _, end in spans)
        return min(start for start, _ in spans)

    def _one(self, check: _Check) -> int:
        before = self.at
        first = before
        for i in range(check.times):
            start, self.at = self._find(check, self.at)
            first = start if i == 0 else first
        lines = self.text[before:first].count("\n")
        if (check.kind == "-SAME" and lines) or (check.kind == "-NEXT" and lines > 1):
            self._fail(check, 'Expected to not find "\\n" but found it')
        if check.kind == "-NEXT" and lines == 0:
            self._fail(check, 'Expected to find "\\n" but did not find it')
        if check.is_exact:
            self._refuse([check._replace(kind="-NOT")], self.at, len(self.text))
        if check.kind == "-SOURCE-HIGHLIGHTED" and not self._is_underlined(first, self.at):
            self._fail(check, f'Expected to find "{check.text}" highlighted but it is not.')
        return first

    def _find(self, check: _Check, start: int) -> tuple[int, int]:
        if check.kind == "-REGEX":
            match = re.compile(check.text).search(self.text, start)
            if match is None:
                self._fail(check, f'Expected to find regex "{check.text}" but did not find it')
            return match.span()
        found = self.text.find(check.text, start)
        if found < 0:
            self._fail(check, f'Expected to find "{check.text}" but did not find it')
        return found, found + len(check.text)

    def _is_underlined(self, start: int, end: int) -> bool:
        line = self.text.rfind("\n", 0, start) + 1
        below = self.text.find("\n", end) + 1
        marks = self.text[below + start - line : below + end - line] if below else ""
        return marks == _MARKS * (end - start)

    def _refuse(self, checks: list[_Check], start: int, end: int) -> None:
        for check in checks:
            if self.text.find(check.text, start, end) >= 0:
                self._fail(check, f'Expected to not find "{check.text}" but found it')

    def _fail(self, check: _Check, why: str) -> NoReturn:
        raise RuntimeError(
            f"{why}\nSearched string:\n{self.text[self.at :]}\nFrom CHECK{check.kind}: {check.text}"
        )
