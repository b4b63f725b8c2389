"""The one test function: every case of the suite is a parameter of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flambeau_conformance.case import Case
    from flambeau_conformance.session import Session


def test_conforms(case: Case, conformance_session: Session) -> None:
    """The device does what the case asks."""
    failures = conformance_session.execute(case)
    if failures:
        told = "\n\n".join(f"{f.id}\n{f.detail}" for f in failures[:3])
        more = f"\n\n... and {len(failures) - 3} more" if len(failures) > 3 else ""
        pytest.fail(told + more, pytrace=False)
