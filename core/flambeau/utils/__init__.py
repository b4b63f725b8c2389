"""PyTorch's ``torch.utils``: ``data``, which is :mod:`flambeau.data`, and ``checkpoint``."""

from flambeau.utils import checkpoint as checkpoint
from flambeau.utils import data as data
