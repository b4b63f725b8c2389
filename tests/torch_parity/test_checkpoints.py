"""Checkpoints both ways: PyTorch's are read here, those written here are read by PyTorch."""

import io
from collections import Counter, OrderedDict

import numpy as np
import pytest

import flambeau as fb
from flambeau.serialization import CheckpointError

torch = pytest.importorskip("torch")

DTYPES = [d for d in fb.dtypes.ALL if hasattr(torch, d.name)]


def contents(lib):
    """The same objects in either library."""
    w = lib.arange(24).reshape(4, 6).float()
    model = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4))
    for i, p in enumerate(model.parameters()):
        p.data = lib.full(p.shape, i + 0.5)
    parameter = lib.nn.Parameter(lib.ones(2))
    parameter.tag = 7
    return {
        "w": w, "transposed": w.t(), "part": w[1:, ::2], "expanded": lib.ones(3, 1).expand(3, 5),
        "state": model.state_dict(), "parameters": list(model.parameters()),
        "parameter": parameter, "scalar": lib.tensor(3.5), "empty": lib.zeros(0, 3),
        "leaf": lib.ones(3, requires_grad=True), "meta": lib.empty(2, 3, device="meta"),
        "channels last": lib.ones(2, 3, 4, 5).to(memory_format=lib.channels_last),
        "dtypes": [lib.tensor([1, 2]).to(getattr(lib, d.name)) for d in DTYPES],
        "values": (1, 2.5, "x", b"by", b"", True, None, 2**70, -1, 3 + 4j, {1, "x"}, [[]]),
        "size": lib.Size([2, 3]), "device": lib.device("cpu"), "dtype": lib.float16,
        "layout": lib.strided, "ordered": OrderedDict(a=Counter("aab")), "bytes": bytearray(b"abc"),
    }


def is_tensor(value):
    return isinstance(value, (torch.Tensor, fb.Tensor))


def same(a, b, where=""):
    """Whether two objects are equal to the bit, of either library."""
    if is_tensor(a):
        assert is_tensor(b), where
        facts = [
            (tuple(t.shape), t.stride(), t.storage_offset(), str(t.dtype).partition(".")[2],
             t.requires_grad, t.device.type, type(t).__name__, dict(t.__dict__)) for t in (a, b)]
        assert facts[0] == facts[1], where
        if a.device.type != "meta":
            assert bits(a) == bits(b), where
    elif isinstance(a, dict):
        assert type(a) is type(b) and list(a) == list(b), where
        assert getattr(a, "_metadata", None) == getattr(b, "_metadata", None)
        for key in a:
            same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (list, tuple)):
        assert type(a).__name__ == type(b).__name__ and len(a) == len(b), where
        for i, pair in enumerate(zip(a, b, strict=True)):
            same(*pair, f"{where}.{i}")
    else:
        assert a == b or shown(a) == shown(b), where


def shown(value):
    return str(value).replace("torch.", "").replace("flambeau.", "")


def bits(t):
    """The elements' bytes, row by row."""
    t = t.detach().contiguous().reshape(-1)
    if isinstance(t, torch.Tensor):
        return t.view(torch.uint8).numpy().tobytes() if t.numel() else b""
    return t.numpy().tobytes()


@pytest.mark.parametrize("is_zip", [True, False])
def test_files_of_torch_are_read(is_zip):
    file = io.BytesIO()
    torch.save(contents(torch), file, _use_new_zipfile_serialization=is_zip)
    file.seek(0)
    found = fb.load(file)
    file.seek(0)
    same(torch.load(file, weights_only=False), found)  # its restricted loading refuses b""
    assert found["w"].untyped_storage() == found["transposed"].untyped_storage()
    assert found["part"].untyped_storage() == found["w"].untyped_storage()


@pytest.mark.parametrize("is_zip", [True, False])
def test_files_written_here_are_read_by_torch(is_zip):
    file = io.BytesIO()
    fb.save(contents(fb), file, _use_new_zipfile_serialization=is_zip)
    file.seek(0)
    found = torch.load(file, weights_only=True)
    file.seek(0)
    same(fb.load(file), found)
    same(found, contents(torch))
    assert found["w"].data_ptr() == found["transposed"].data_ptr()


def test_files_are_mapped_by_both(tmp_path):
    fb.save({"w": fb.arange(5), "v": fb.ones(3)}, tmp_path / "a.pt")
    torch.save({"w": torch.arange(5), "v": torch.ones(3)}, tmp_path / "b.pt")
    same(torch.load(tmp_path / "a.pt", mmap=True), fb.load(tmp_path / "b.pt", mmap=True))


def test_storages_and_pending_conjugations():
    x, y = torch.tensor([1 + 2j, 3 - 1j]), torch.tensor([2.0, -1.0])
    file = io.BytesIO()
    with pytest.warns(UserWarning, match="TypedStorage"):
        torch.save([x.conj(), torch._neg_view(y), torch.arange(3).storage()], file)
    file.seek(0)
    conjugated, negated, storage = fb.load(file)
    assert conjugated.tolist() == x.conj().tolist() and negated.tolist() == [-2, 1]
    assert isinstance(storage, fb.LongStorage) and storage.tolist() == [0, 1, 2]


def test_numpy_numbers_and_generators():
    generator = torch.Generator().manual_seed(5)
    file = io.BytesIO()
    torch.save([np.float32(2.5), np.arange(4).reshape(2, 2), generator], file)
    file.seek(0)
    number, array, found = fb.load(file)
    assert number == np.float32(2.5) and array.tolist() == [[0, 1], [2, 3]]
    assert fb.rand(3, generator=found).tolist() == torch.rand(3, generator=generator).tolist()
    back = io.BytesIO()
    fb.save([number, found], back)
    back.seek(0)
    number, other = torch.load(back, weights_only=False)
    assert torch.equal(torch.rand(3, generator=other), torch.rand(3, generator=generator))


def test_sparse_tensors():
    if not hasattr(fb, "sparse_coo_tensor"):
        pytest.skip("there are no sparse tensors")
    t = torch.eye(3).to_sparse()
    file = io.BytesIO()
    torch.save(t, file)
    file.seek(0)
    found = fb.load(file)
    assert found.to_dense().tolist() == t.to_dense().tolist() and found.is_coalesced()
    back = io.BytesIO()
    fb.save(found, back)
    back.seek(0)
    assert torch.equal(torch.load(back).to_dense(), t.to_dense())


def test_what_torch_refuses_is_refused():
    file = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2), file)
    file.seek(0)
    with pytest.raises(CheckpointError, match="Linear"):
        fb.load(file)
    file.seek(0)
    model = fb.load(file, weights_only=False)  # PyTorch's classes become those of the same name
    assert type(model) is fb.nn.Linear
    assert model(fb.ones(1, 2)).shape == (1, 2)


# ---- training goes on ---------------------------------------------------------------------------
def training(lib, seed=0):
    """A model with dropout, its optimizer and its scheduler."""
    lib.manual_seed(seed)
    model = lib.nn.Sequential(
        lib.nn.Linear(8, 16), lib.nn.BatchNorm1d(16), lib.nn.ReLU(), lib.nn.Dropout(0.3),
        lib.nn.Linear(16, 3))
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    scheduler = lib.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)
    return model, optimizer, scheduler


def losses(lib, parts, steps):
    """The losses of some steps on batches drawn from the default generator."""
    model, optimizer, scheduler = parts
    found = []
    for _ in range(steps):
        x = lib.randn(12, 8)
        y = lib.randint(0, 3, (12,))
        optimizer.zero_grad()
        loss = lib.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize(("first", "second"), [(torch, fb), (fb, torch)], ids=["here", "there"])
def test_training_goes_on_in_the_other_library(tmp_path, first, second):
    parts = training(first)
    losses(first, parts, 10)
    first.save(
        {"parts": [part.state_dict() for part in parts], "rng": first.get_rng_state()},
        tmp_path / "run.pt")
    other = training(second, seed=1)
    held = second.load(tmp_path / "run.pt")
    for part, state in zip(other, held["parts"], strict=True):
        part.load_state_dict(state)
    second.set_rng_state(held["rng"])
    expected = losses(first, parts, 20)
    assert losses(second, other, 20) == pytest.approx(expected, abs=1e-6)
