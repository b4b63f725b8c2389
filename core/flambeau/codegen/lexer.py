"""Text to words."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# Signs of other languages that a reader would try, or that C reads otherwise: what to write.
FOREIGN: Final = {
    "%": "there is no '%': write remainder(a, b) (sign of b) or fmod(a, b) (sign of a)",
    "**": "there is no '**': write pow(a, b)",
    "//": "there is no '//': write floor_divide(a, b) or trunc_divide(a, b)",
    "++": "there is no '++'",
    "--": "there is no '--': write a - -b or -(-b)",
    "and": "there is no 'and': write &&",
    "or": "there is no 'or': write ||",
    "not": "there is no 'not': write !",
}

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<number>(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\w*)
    | (?P<name>[^\W\d]\w*)
    | (?P<foreign>\*\*|//|\+\+|--|%)
    | (?P<sign><<|>>|<=|>=|==|!=|&&|\|\||[-+*/<>!&|^~?:;,()=])
    | (?P<end>\Z)
    | (?P<unknown>.)
    )""",
    re.VERBOSE | re.ASCII,
)


class Token(NamedTuple):
    """A word of the text; ``kind`` is the group of the lexer that it matched."""

    kind: str
    text: str
    column: int


def tokens(text: str) -> list[Token]:
    """The words of a formula; the last one is the end."""
    found = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        assert kind is not None
        found.append(Token(kind, match[kind], match.start(kind)))
        if kind == "end":
            break
    return found
