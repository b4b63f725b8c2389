"""Pretrained models: weights from an address, and models from a repository's ``hubconf.py``.

Files are kept in ``get_dir()``.  ``FLAMBEAU_HUB_OFFLINE=1`` uses what is there and asks no server.
The code of a repository runs only if it is trusted: see :func:`load`.
"""

from flambeau.hub.cache import get_dir as get_dir
from flambeau.hub.cache import set_dir as set_dir
from flambeau.hub.entrypoints import help as help
from flambeau.hub.entrypoints import list as list
from flambeau.hub.entrypoints import load as load
from flambeau.hub.weights import download_url_to_file as download_url_to_file
from flambeau.hub.weights import load_state_dict_from_url as load_state_dict_from_url
