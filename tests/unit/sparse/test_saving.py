import io
import warnings

import pytest

import flambeau as fb

torch = pytest.importorskip("torch")


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", [
    "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc"])
def test_either_library_loads_what_the_other_saved(layout):
    block = (2, 2) if layout in ("sparse_bsr", "sparse_bsc") else None
    for writer, reader in ((fb, torch), (torch, fb), (fb, fb)):
        x = writer.eye(4) * writer.arange(1.0, 5.0)
        file = io.BytesIO()
        writer.save({"x": x.to_sparse(layout=getattr(writer, layout), blocksize=block)}, file)
        file.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = reader.load(file, weights_only=True)["x"]
        assert str(found.layout).endswith(layout)
        assert found.to_dense().tolist() == x.tolist()
