import numpy as np
import pytest

from flambeau_cpu.onednn import library
from flambeau_cpu.onednn.threads import POOL


@pytest.fixture
def dnnl():
    """Skips a test where the library is missing."""
    found = library.api()
    if found is None:
        pytest.skip(f"oneDNN: {library.state()}")
    return found


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def everywhere(monkeypatch):
    """Calls a kernel with 1, 2, 3 and 8 threads, compares the bits and gives the result."""

    def run(kernel, *args, **settings):
        results = []
        for limit in (1, 2, 3, 8):
            monkeypatch.setattr(POOL, "limit", limit)
            result = kernel(*args, **settings)
            assert result is not NotImplemented
            results.append(result if isinstance(result, tuple) else (result,))
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                assert a.strides == b.strides
                assert a.tobytes() == b.tobytes()
        return results[0] if len(results[0]) > 1 else results[0][0]

    return run
