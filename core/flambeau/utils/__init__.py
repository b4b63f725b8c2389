"""PyTorch's ``torch.utils``: here ``data``, which is :mod:`flambeau.data` under its usual name."""

from flambeau.utils import data as data
