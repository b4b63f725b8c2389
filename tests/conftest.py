"""Generated cases are the same in every run; ``HYPOTHESIS_PROFILE=deep`` draws many more."""

from __future__ import annotations

import os

# Before NumPy and torch are loaded: on two cores their thread pools fight each other, and small
# cases take ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("deep", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
