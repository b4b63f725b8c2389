"""Saving and loading without PyTorch: what is kept, where it goes, what is allowed."""

import copy
import io
import mmap
import os
import pickle
import subprocess
import sys
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest

import flambeau as fb
from flambeau import serialization
from flambeau.serialization import CheckpointError


def again(value, **options):
    file = io.BytesIO()
    fb.save(value, file, _use_new_zipfile_serialization=options.pop("is_zip", True))
    file.seek(0)
    return fb.load(file, **options)


class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is Point and other.x == self.x

    __hash__ = None


class Tagged(fb.Tensor):
    pass


def double(x):
    return 2 * x


# ---- values ------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("value", [
    None, True, 7, -(2**80), 2.5, float("inf"), "text \u00e9", b"bytes\xff", 3 + 4j, (), [1, [2]],
    {"a": {1: (2, 3)}}, {1, 2}, bytearray(b"abc"), OrderedDict(b=1, a=2), Counter("aab"),
    fb.Size([2, 3]), fb.device("cpu"), fb.float16, fb.strided, np.float32(2.5), np.int64(-3),
], ids=repr)
def test_values_come_back_as_they_are(value, is_zip):
    found = again(value, is_zip=is_zip)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("dtype", fb.dtypes.ALL, ids=str)
def test_tensors_of_every_dtype(dtype, is_zip):
    t = fb.tensor([[0, 1], [2, 3]]).to(dtype)
    found = again([t, t[0, 1], t[:0]], is_zip=is_zip)
    for a, b in zip(found, [t, t[0, 1], t[:0]], strict=True):
        assert a.dtype is dtype and a.shape == b.shape
        assert a.numpy().tobytes() == b.numpy().tobytes()


@pytest.mark.parametrize("is_zip", [True, False])
def test_ties_strides_and_offsets_are_kept(is_zip):
    w = fb.arange(12.0).view(3, 4)
    a, b, c, d = again([w, w.t(), w[1:, ::2], w[0].expand(5, 4)], is_zip=is_zip)
    assert (b.stride(), c.stride(), c.storage_offset(), d.stride()) == ((1, 4), (4, 2), 4, (0, 1))
    a[1, 0] = 50
    assert b[0, 1] == 50 and c[0, 0] == 50


def test_gradients_parameters_and_attributes():
    p = fb.nn.Parameter(fb.ones(2))
    p.tag = "mine"
    frozen = fb.nn.Parameter(fb.ones(2), requires_grad=False)
    leaf = fb.ones(1, requires_grad=True)
    found = again([p, frozen, leaf, leaf * 2, p])
    assert [type(t) is fb.nn.Parameter for t in found] == [True, True, False, False, True]
    assert [t.requires_grad for t in found] == [True, False, True, True, True]
    assert found[0].tag == "mine" and found[0] is found[4]


def test_state_dicts_keep_their_versions():
    state = fb.nn.BatchNorm1d(3).state_dict()
    found = again(state)
    assert type(found) is OrderedDict and found._metadata == state._metadata
    assert found._metadata[""]["version"] == 2


def test_generators_and_their_states():
    g = fb.Generator().manual_seed(3)
    fb.rand(5, generator=g)
    other, state = again([g, g.get_state()])
    assert fb.equal(fb.rand(9, generator=other), fb.rand(9, generator=g))
    assert state.dtype is fb.uint8


def test_arrays_of_numpy():
    arrays = [np.arange(6).reshape(2, 3), np.asfortranarray(np.ones((2, 3), ">f4")), np.zeros(0)]
    for a, b in zip(again(arrays), arrays, strict=True):
        assert a.dtype == b.dtype.newbyteorder("=") and a.flags.fnc == b.flags.fnc
        np.testing.assert_array_equal(a, b)


def test_storages_themselves():
    t = fb.arange(4.0)
    typed, tensor = again([t.storage(), t])
    assert isinstance(typed, fb.FloatStorage) and typed.tolist() == [0, 1, 2, 3]
    typed[1] = 9
    assert tensor[1] == 9
    assert again(t.untyped_storage()).tolist() == t.untyped_storage().tolist()


def test_tensors_without_data():
    t = fb.empty(3, 4, device="meta").t()
    found = again(t)
    assert (found.device.type, found.shape, found.stride()) == ("meta", (4, 3), (1, 4))


def test_one_memory_cannot_be_saved_with_two_dtypes():
    t = fb.ones(4)
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        again([t, t.view(fb.int32)])


# ---- the file ----------------------------------------------------------------------------------
def test_the_members_and_their_alignment():
    file = io.BytesIO()
    fb.save({"a": fb.ones(3), "b": fb.ones(100, dtype=fb.int8)}, file)
    archive = zipfile.ZipFile(file)
    assert archive.testzip() is None
    assert archive.namelist() == [f"archive/{name}" for name in (
        "data.pkl", ".format_version", ".storage_alignment", "byteorder", "data/0", "data/1",
        "version", ".data/serialization_id")]
    assert archive.read("archive/byteorder") == sys.byteorder.encode()
    assert all(file.getvalue().find(data) % 64 == 0 for data in (b"\x01" * 100,))


def test_equal_objects_give_equal_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        fb.save({"w": fb.arange(5), "n": 1}, tmp_path / name / "model.pt")
    first, second = ((tmp_path / name / "model.pt").read_bytes() for name in ("a", "b"))
    assert first == second and b"model/data.pkl" in first


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "model.pt"
    fb.save([1], path)
    path.chmod(0o640)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        fb.save([fb.ones(1000), lambda: 1], path)
    assert fb.load(path) == [1] and os.listdir(tmp_path) == ["model.pt"]
    fb.save([2], path)
    assert fb.load(path) == [2] and path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.pt").symlink_to(tmp_path / "model.pt")
    fb.save([1], tmp_path / "link.pt")
    assert (tmp_path / "link.pt").is_symlink() and fb.load(tmp_path / "model.pt") == [1]


def test_folders_and_files_that_are_not_there(tmp_path):
    with pytest.raises(RuntimeError, match="Parent directory"):
        fb.save(1, tmp_path / "no" / "model.pt")
    with pytest.raises(FileNotFoundError):
        fb.load(tmp_path / "model.pt")
    with pytest.raises(AttributeError, match="seek"):
        fb.load(3)
    with pytest.raises(AttributeError, match="write"):
        fb.save(1, 3)


def test_several_values_of_the_older_format_in_one_file():
    file = io.BytesIO()
    for i in range(3):
        fb.save({"t": fb.full((3,), i)}, file, _use_new_zipfile_serialization=False)
    file.seek(0)
    assert [fb.load(file)["t"].tolist() for _ in range(3)] == [[0] * 3, [1] * 3, [2] * 3]


def test_files_of_the_other_byte_order():
    file = io.BytesIO()
    state = {"f": fb.tensor([1.0, 2.0]), "c": fb.tensor([1 + 2j]), "i": fb.tensor([1, 2])}
    fb.save(state, file)
    changed, source = io.BytesIO(), zipfile.ZipFile(file)
    sizes = iter([4, 4, 8])
    with zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("byteorder"):
                data = b"big"
            elif "/data/" in name:
                data = np.frombuffer(data, f"u{next(sizes)}").byteswap().tobytes()
            target.writestr(name, data)
    changed.seek(0)
    for name, found in fb.load(changed).items():
        assert fb.equal(found, state[name])


def test_the_order_of_files_that_do_not_say_it():
    file = io.BytesIO()
    fb.save(fb.tensor([1], dtype=fb.int16), file, _disable_byteorder_record=True)
    serialization.set_default_load_endianness(serialization.LoadEndianness.BIG)
    try:
        file.seek(0)
        assert fb.load(file).item() == 256
    finally:
        serialization.set_default_load_endianness(None)
    file.seek(0)
    assert fb.load(file).item() == 1
    with pytest.raises(TypeError):
        serialization.set_default_load_endianness("big")


# ---- places ------------------------------------------------------------------------------------
def test_map_location():
    t = fb.ones(3)
    assert again(t, map_location="meta").device.type == "meta"
    assert again(t, map_location=fb.device("cpu")).device.type == "cpu"
    assert again(t, map_location={"cpu": "meta"}).device.type == "meta"
    assert again(t, map_location={"cuda:0": "cpu"}).device.type == "cpu"
    seen = []
    found = again(t, map_location=lambda storage, tag: seen.append((len(storage), tag)))
    assert seen == [(12, "cpu")] and fb.equal(found, t)
    moved = again(t, map_location=lambda storage, tag: storage.to(device="meta"))
    assert moved.device.type == "meta"
    with pytest.raises(TypeError, match="map_location"):
        again(t, map_location=3)
    with pytest.raises(CheckpointError, match="map_location='cpu'"):
        again(t, map_location="nosuchdevice")


def test_errors_of_the_users_functions_are_theirs():
    def broken(storage, tag):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="^mine$"):
        again(fb.ones(1), map_location=broken)


def test_packages_may_tag_storages():
    serialization.register_package(
        5, lambda s: "special" if len(s) == 20 else None,
        lambda s, tag: s.clone().fill_(0) if tag == "special" else None)
    try:
        assert again([fb.ones(5), fb.ones(4)])[0].tolist() == [0] * 5
        assert serialization.location_tag(fb.ones(5).untyped_storage()) == "special"
    finally:
        serialization.location._packages.clear()


def test_mapped_files_are_private_and_lazy(tmp_path):
    path = tmp_path / "big.pt"
    fb.save({"a": fb.ones(1 << 24), "b": fb.arange(3)}, path)
    code = (
        "import resource, sys, flambeau as fb\n"
        "fb.zeros(3).sum(), fb.load(sys.argv[1], mmap=True, map_location='meta')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "t = fb.load(sys.argv[1], mmap=True)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, t['a'][5].item())\n")
    out = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout
    grown, value = out.split()
    assert int(grown) < 16 * 1024 and float(value) == 1  # KiB, of the file's 64 MiB
    mapped = fb.load(path, mmap=True)
    mapped["b"][0] = 7
    assert fb.load(path)["b"].tolist() == [0, 1, 2]
    with serialization.set_default_mmap_options(mmap.MAP_SHARED):
        fb.load(path, mmap=True)["b"][0] = 7
    assert fb.load(path)["b"].tolist() == [7, 1, 2]
    with pytest.raises(ValueError, match="path"):
        fb.load(io.BytesIO(), mmap=True)
    fb.save(1, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="mmap"):
        fb.load(path, mmap=True)


def test_skip_data():
    file = io.BytesIO()
    with serialization.skip_data():
        fb.save(fb.ones(1000), file)
    file.seek(0)
    assert fb.load(file).tolist() == [0] * 1000
    file.seek(0)
    with serialization.skip_data():
        assert fb.load(file).shape == (1000,)


# ---- what is allowed ---------------------------------------------------------------------------
def test_other_classes_need_leave():
    with pytest.raises(CheckpointError, match=r"Point.*add_safe_globals"):
        again(Point(3))
    with serialization.safe_globals([Point]):
        assert again([Point(3)]) == [Point(3)]
        assert serialization.get_safe_globals() == [Point]
    assert serialization.get_safe_globals() == []
    assert again(Point(3), weights_only=False) == Point(3)


def test_functions_and_other_names_can_be_allowed():
    with serialization.safe_globals([(double, f"{__name__}.double")]):
        assert again(double) is double
    serialization.add_safe_globals([Point])
    serialization.clear_safe_globals()
    with pytest.raises(CheckpointError):
        again(Point(1))
    with pytest.raises(TypeError):
        serialization.add_safe_globals([3])


def test_subclasses_of_tensor():
    t = fb.ones(2).as_subclass(Tagged)
    t.note = 1
    with pytest.raises(CheckpointError, match="Tagged"):
        again(t)
    with serialization.safe_globals([Tagged]):
        found = again(t)
    assert type(found) is Tagged and found.note == 1 and found.tolist() == [1, 1]


def test_the_names_that_a_file_refers_to():
    file = io.BytesIO()
    fb.save([Point(1), fb.ones(1), double], file)
    file.seek(0)
    assert serialization.get_unsafe_globals_in_checkpoint(file) == [
        f"{__name__}.Point", f"{__name__}.double"]


def test_whole_modules_need_the_whole_pickle():
    model = fb.nn.Sequential(fb.nn.Linear(3, 4), fb.nn.ReLU(), fb.nn.BatchNorm1d(4))
    with pytest.raises(CheckpointError, match="Sequential"):
        again(model)
    found = again(model, weights_only=False)
    x = fb.ones(2, 3)
    assert fb.equal(found(x), model(x))
    with pytest.raises(RuntimeError, match="pickle_module"):
        again(1, weights_only=True, pickle_module=pickle)
    assert again(model, pickle_module=pickle)[0].weight.shape == (4, 3)


def test_a_pickler_in_c_is_refused():
    class Other:
        Pickler = pickle.Pickler

    with pytest.raises(TypeError, match="Other"):
        fb.save(1, io.BytesIO(), pickle_module=Other)


# ---- pickle and copy ---------------------------------------------------------------------------
@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickle_keeps_ties(protocol):
    w = fb.arange(6.0).view(2, 3)
    model = fb.nn.Linear(2, 2)
    a, b, typed, found = pickle.loads(
        pickle.dumps([w, w.t(), w.storage(), model], protocol))
    a[0, 1] = 10
    assert b[1, 0] == 10 and typed[1] == 10
    assert fb.equal(found.weight, model.weight) and found.weight.requires_grad


def test_deepcopy_keeps_ties():
    w = fb.arange(6.0)
    a, b, typed, untyped = copy.deepcopy([w, w[2:], w.storage(), w.untyped_storage()])
    a[2] = 10
    assert b[0] == 10 and typed[2] == 10 and w[2] == 2
    assert untyped == a.untyped_storage()
