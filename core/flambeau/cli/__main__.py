"""``python -m flambeau.cli``: the command line of this very interpreter."""

from __future__ import annotations

import sys

from flambeau.cli import main

sys.exit(main())
