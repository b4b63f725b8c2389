"""Names of ``torch.hub`` that libraries use, beyond flambeau's own."""

import re
from urllib.parse import urlparse as urlparse

HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
"""The digits of the checksum in a file's name."""
