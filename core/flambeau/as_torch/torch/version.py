"""``torch.version``."""

from flambeau.as_torch.names import VERSIONS

__version__ = VERSIONS["torch"]
debug = False
cuda = None
hip = None
xpu = None
git_version = "flambeau"
