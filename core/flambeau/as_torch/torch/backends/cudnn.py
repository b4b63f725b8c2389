"""``torch.backends.cudnn``: not used; its switches keep what programs set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

LIVE = ("enabled", "benchmark", "deterministic", "allow_tf32", "benchmark_limit")
"""Names that change: a facade looks them up each time."""

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True
benchmark_limit = 10


def is_available() -> bool:
    """False."""
    return False


def version() -> int | None:
    """None: there is no cuDNN."""
    return None


@contextlib.contextmanager
def flags(**settings: object) -> Iterator[None]:
    """Set switches for a block."""
    before = {name: globals()[name] for name in settings}
    globals().update(settings)
    try:
        yield
    finally:
        globals().update(before)
