"""The oracle: a device on which every op is computed slowly, plainly and independently.

Pointwise and reduction primitives are computed by interpreting the formula that stands with the
op; the others by plain NumPy that shares no code with any backend.  There are no overrides: every
composite runs by its decomposition.  In float64 it gives the values that backends are held to.
"""

from __future__ import annotations

from functools import cache
from typing import Final

NAME: Final = "oracle"
"""The device type of the oracle."""


@cache
def register() -> None:
    """Make the oracle's device available in this process."""
    from flambeau.plugins import register_backend
    from flambeau_conformance.oracle.device import OracleBackend

    register_backend(OracleBackend())
