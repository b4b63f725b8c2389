"""The conformance suite: proves that a backend does what flambeau asks of a device.

``flambeau conformance DEVICE`` runs it; it is pytest on this package, and works for any installed
backend from any folder.  Tests are generated from the registry of ops; expected values come from
an independent oracle (:mod:`flambeau_conformance.oracle`) that computes in float64.

A check has a stable id, ``L1/exp/float32/2d/forward``: level, op, dtype, sample, what is checked.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = "1.0"
"""Version of the suite.  The major number grows when a backend that passed may no longer pass."""
