"""Choosing among variants of a kernel by measuring them once per device and class of sizes.

Environment:
    ``FLAMBEAU_TUNING``: ``off`` to take the default everywhere.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from flambeau.codegen.disk import DiskCache

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

ROUNDS: Final = 3
"""Measurements of each variant; the shortest counts."""
VERSION: Final = "1"
"""Of the variants: what was measured for others is forgotten."""


class Tuner:
    """The fastest of some variants, remembered on disk."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self._backend = backend
        self._chosen: dict[tuple[int, Any], int] = {}
        self._disk = DiskCache("tuning")

    def choose(
        self, key: tuple[Any, ...], variants: Sequence[Any], run: Callable[[Any], None], index: int
    ) -> Any:
        """One of several variants.

        Args:
            key: what it depends on; it must print the same in every process.
            variants: the default first.
            run: starts the work that is measured.
            index: the device.
        """
        if len(variants) < 2 or os.environ.get("FLAMBEAU_TUNING") == "off":
            return variants[0]
        found = self._chosen.get((index, key))
        if found is None:
            found = self._stored(key, variants, index)
            if found is None:
                found = self._fastest(variants, run, index)
                self._disk.put(str(found).encode(), *self._words(key, variants, index))
            self._chosen[index, key] = found
        return variants[found]

    def _words(self, key: tuple[Any, ...], variants: Sequence[Any], index: int) -> list[str]:
        """The key on disk."""
        device = json.dumps(self._backend.device_info(index), sort_keys=True)
        return [VERSION, self._backend.name, device, repr(key), repr(variants)]

    def _stored(self, key: tuple[Any, ...], variants: Sequence[Any], index: int) -> int | None:
        text = self._disk.get(*self._words(key, variants, index))
        if text is None or not text.isdigit() or int(text) >= len(variants):
            return None
        return int(text)

    def _fastest(self, variants: Sequence[Any], run: Callable[[Any], None], index: int) -> int:
        """Measure in turns, so that whatever else the machine does meets all alike."""
        best = [float("inf")] * len(variants)
        for turn in range(1 + ROUNDS):
            for i, variant in enumerate(variants):
                self._backend.synchronize(index)
                start = time.perf_counter()
                run(variant)
                self._backend.synchronize(index)
                if turn:  # the first one compiles, and brings the operands near
                    best[i] = min(best[i], time.perf_counter() - start)
        return best.index(min(best))
