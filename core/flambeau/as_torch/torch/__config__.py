"""``torch.__config__``."""

import flambeau as fb


def show() -> str:
    """Which flambeau this is."""
    return f"flambeau {fb.__version__}, by the names of PyTorch"


def parallel_info() -> str:
    """How many threads an op may use."""
    return f"threads: {fb.get_num_threads()}"
