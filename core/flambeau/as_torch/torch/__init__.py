"""What programs ask of ``torch`` itself, beyond flambeau's own names."""

from __future__ import annotations

from typing import Any

from flambeau.as_torch.missing import missing
from flambeau.as_torch.names import VERSIONS


class TorchVersion(str):
    """A version that compares with strings and tuples by its numbers."""

    __slots__ = ()

    @property
    def _numbers(self) -> tuple[int, ...]:
        return _numbers(self)

    def __lt__(self, other: Any) -> bool:
        return self._numbers < _numbers(other)

    def __le__(self, other: Any) -> bool:
        return self._numbers <= _numbers(other)

    def __gt__(self, other: Any) -> bool:
        return self._numbers > _numbers(other)

    def __ge__(self, other: Any) -> bool:
        return self._numbers >= _numbers(other)

    def __eq__(self, other: object) -> bool:
        return self._numbers == _numbers(other)

    def __hash__(self) -> int:
        return hash(str(self))


def _numbers(version: Any) -> tuple[int, ...]:
    """Major, minor and patch, zeros where they are not given."""
    parts = str(version).split("+")[0].split(".") if isinstance(version, str) else version
    found = [int("".join(c for c in str(part) if c.isdigit()) or 0) for part in parts]
    return (*found, 0, 0, 0)[:3]


__version__ = TorchVersion(VERSIONS["torch"])
ops = missing("torch.ops")  # overloads of ATen; flambeau.ops is another thing


def dsmm(mat1: Any, mat2: Any) -> Any:
    """The product of a sparse and a dense matrix, by an old name."""
    from flambeau import mm

    return mm(mat1, mat2)


def compile(model: Any = None, **options: Any) -> Any:
    """The function or module as it is: flambeau runs op by op."""
    if model is None:
        return lambda function: function
    return model


def is_deterministic() -> bool:
    """Whether equal results of equal calls were asked for."""
    import flambeau

    return bool(flambeau.are_deterministic_algorithms_enabled())


def is_vulkan_available() -> bool:
    """False."""
    return False
