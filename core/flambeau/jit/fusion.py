"""Settings of a compiler that fuses: remembered, and without effect here."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

_strategy: list[tuple[str, int]] = [("STATIC", 2), ("DYNAMIC", 10)]
_onednn = False


def set_fusion_strategy(strategy: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Remember how often a compiler is to specialise; gives what was set before.

    Args:
        strategy: pairs of "STATIC" or "DYNAMIC" and a number of times.

    Raises:
        ValueError: for another word.
    """
    global _strategy
    for kind, _ in strategy:
        if kind not in ("STATIC", "DYNAMIC"):
            raise ValueError(f"FusionBehavior only supported 'STATIC' or 'DYNAMIC', got: {kind}")
    before, _strategy = _strategy, [(kind, int(count)) for kind, count in strategy]
    return before


def enable_onednn_fusion(enabled: bool) -> None:
    """Remember whether a compiler is to fuse by oneDNN."""
    global _onednn
    _onednn = bool(enabled)


def onednn_fusion_enabled() -> bool:
    """What ``enable_onednn_fusion`` has set."""
    return _onednn


class strict_fusion:
    """A block in which a compiler is to fuse all; eager code is warned that it does nothing."""

    def __init__(self) -> None:
        warnings.warn("Only works in script mode", stacklevel=2)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        pass
