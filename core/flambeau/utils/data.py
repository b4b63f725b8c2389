"""``torch.utils.data`` by its usual name; everything stands in :mod:`flambeau.data`."""

from flambeau.data import *  # noqa: F403  listed there
from flambeau.data import __all__ as __all__
from flambeau.data import datapipes as datapipes
