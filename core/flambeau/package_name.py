"""The name of this package as its objects show it: ``flambeau.float32``, ``flambeau.Size([2])``."""

shown = "flambeau"
"""``torch`` while :mod:`flambeau.as_torch` is installed: programs parse such names."""
