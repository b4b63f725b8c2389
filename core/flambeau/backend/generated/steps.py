"""Calls that take several launches: what is launched on what, worked out once per layout."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flambeau.dtypes import dtype
from flambeau.layout import Layout

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

PLANS_AT_MOST: Final = 4096
"""Per family; then all are forgotten."""


class Launch(NamedTuple):
    """One kernel on some of a call's buffers."""

    handle: Any
    groups: int
    places: tuple[int, ...]
    """Of its buffers among those of the call: results, inputs, temporaries."""
    scalars: tuple[Any, ...]


@dataclass(slots=True)
class Steps:
    """The launches of a call, in order.

    Attributes:
        given: how many results and inputs there are.
        launches: what is launched.
        temporaries: bytes of each buffer that is needed meanwhile.
        kept: layouts whose identities stand for this plan.
        results: element types and layouts of what is returned.
    """

    given: int
    launches: list[Launch] = field(default_factory=list)
    temporaries: list[int] = field(default_factory=list)
    kept: tuple[Layout, ...] = ()
    results: tuple[tuple[dtype, Layout], ...] = ()

    def temporary(self, nbytes: int) -> int:
        """A place for a buffer of a size."""
        self.temporaries.append(nbytes)
        return self.given + len(self.temporaries) - 1

    def add(self, handle: Any, groups: int, places: Sequence[int], scalars: Sequence[Any]) -> None:
        """Launch a kernel, unless there is nothing to do."""
        if groups:
            self.launches.append(Launch(handle, groups, tuple(places), tuple(scalars)))

    def run(
        self, backend: GeneratedBackend, buffers: Sequence[Any], index: int,
        numbers: Sequence[Any] = (),
    ) -> None:
        """Launch all.

        Args:
            buffers: of the results and inputs.
            numbers: more arguments of the last launch.
        """
        if not self.launches:
            return
        if self.temporaries:
            buffers = [*buffers, *(backend.alloc(n, index) for n in self.temporaries)]
        launch = backend.launch
        last = self.launches[-1]
        for step in self.launches:
            more = numbers if step is last else ()
            launch(step.handle, step.groups,
                   [*[buffers[i] for i in step.places], *step.scalars, *more], index)


class Plans(dict[Hashable, Steps]):
    """Plans by what they depend on."""

    def obtain(self, key: Hashable, make: Callable[[], Steps]) -> Steps:
        """The plan, made at first use."""
        found = self.get(key)
        return self.keep(key, make()) if found is None else found

    def keep(self, key: Hashable, steps: Steps) -> Steps:
        """Remember a plan."""
        if len(self) >= PLANS_AT_MOST:
            self.clear()
        self[key] = steps
        return steps
