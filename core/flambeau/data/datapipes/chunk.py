"""A batch, before it is collated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class DataChunk(list[T]):
    """A list of samples."""

    def __init__(self, items: Iterable[T]) -> None:
        items = list(items)
        super().__init__(items)
        self.items = items

    def as_str(self, indent: str = "") -> str:
        """The samples in brackets, behind an indentation."""
        return f"{indent}[{', '.join(str(item) for item in iter(self))}]"

    def __iter__(self) -> Iterator[T]:
        yield from super().__iter__()

    def raw_iterator(self) -> Iterator[T]:
        """The samples as they were given."""
        yield from self.items
