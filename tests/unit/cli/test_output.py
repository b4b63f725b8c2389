"""Tables and sizes for people."""

from __future__ import annotations

import pytest

from flambeau.cli.output import human_bytes, table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("A", "LONG"), [("bbb", ""), ("c", "d")]) == "A    LONG\nbbb\nc    d"


def test_a_table_without_rows_is_its_head() -> None:
    assert table(("A", "B"), []) == "A  B"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (8 << 30, "8 GiB"), (3 << 41, "6 TiB")],
)
def test_bytes_have_a_binary_unit(count: int, text: str) -> None:
    assert human_bytes(count) == text
