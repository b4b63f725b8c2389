"""Files made to do harm are refused, each with a word on why."""

import io
import os
import pickle
import struct
import zipfile

import damaged_files
import pytest

import flambeau as fb
from flambeau.serialization import CheckpointError
from flambeau.serialization.pickler import Contents

F32 = b"ctorch\nFloatStorage\n"
V2 = b"ctorch._utils\n_rebuild_tensor_v2\n"


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    data = pickle.encode_long(value)
    return b"\x8a" + bytes([len(data)]) + data


def numbers(*values):
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(count=4, key="0", name=F32, kind="storage", location="cpu"):
    return b"(" + text(kind) + name + text(key) + text(location) + number(count) + b"tQ"


def tensor(size=(4,), stride=(1,), offset=0, grad=b"\x89", of=None):
    body = storage() if of is None else of
    hooks = b"ccollections\nOrderedDict\n)R"
    where = number(offset) + numbers(*size) + numbers(*stride)
    return V2 + b"(" + body + where + grad + hooks + b"tR"


def load(body, **options):
    contents = Contents()
    contents.key_of(fb.arange(4, dtype=fb.float32).storage_(), fb.float32)
    data = damaged_files.archive_with(b"\x80\x02" + body + b".", contents)
    return fb.load(io.BytesIO(data), **options)


def call(name, *arguments):
    module, _, function = name.rpartition(".")
    return f"c{module}\n{function}\n".encode() + b"(" + b"".join(arguments) + b"tR"


CALLS = {
    "system": call("os.system", text("true")), "posix": call("posix.system", text("true")),
    "nt": call("nt.system", text("true")), "eval": call("builtins.eval", text("1")),
    "python 2's eval": call("__builtin__.eval", text("1")),
    "exec": call("builtins.exec", text("1")), "import": call("builtins.__import__", text("os")),
    "getattr": call("builtins.getattr", text("a"), text("upper")),
    "subprocess": call("subprocess.Popen", text("true")), "open": call("io.open", text("/x")),
    "a dotted name": call("collections.OrderedDict.fromkeys", text("a")),
    "a module of torch": call("torch.load", text("a")),
    "torch's hub": call("torch.hub.load", text("a")),
    "bytes loaded": call("torch.storage._load_from_bytes", text("a")),
    "a jit": call("torch.jit._script.unpackage_script_module", text("a")),
    "another name of system": b"cos\nsystem\n",
    "a name in two parts": text("os") + text("system") + b"\x93",
    "a name by its number": b"\x82\x01", "an instance": b"(ios\nsystem\n", "an object": b"(o",
    "a persistent id as text": b"P0\n",
    "a newline in a name": b"ctorch\nSize\x0bos\n",
}
CONTAINERS = {
    "items of a list": b"]" + text("a") + text("b") + b"s",
    "items of a tuple": b")" + text("a") + text("b") + b"s",
    "items of a tensor": tensor() + text("a") + text("b") + b"s",
    "items of a class": F32 + text("a") + text("b") + b"s",
    "append to a dict": b"}" + text("a") + b"a", "append to text": text("a") + text("a") + b"a",
    "append to a bytearray": call("builtins.bytearray") + number(1) + b"a",
    "state of a tensor": tensor() + b"}b", "state of a class": F32 + b"}b",
    "state of a list": b"]}b", "state that is no dict": call("collections.OrderedDict") + b"]b",
    "state without names": call("collections.OrderedDict") + b"}" + number(1) + number(1) + b"sb",
    "an unhashable key": b"}]" + text("a") + b"s",
    "a deep key": b"}" + b")" + b"\x85" * 100_000 + text("a") + b"s",
    "a deep item of a set": call("builtins.set", b"])" + b"\x85" * 100_000 + b"a"),
    "two values": text("a") + text("b"), "an open mark": b"(" + text("a"), "no value": b"",
    "an empty stack": b"0", "a memo that is empty": b"h\x07", "no mark": text("a") + b"t",
    "a huge bytearray": call("builtins.bytearray", number(2**34)),
    "a counter of text": call("collections.Counter", text("aab")),
    "a set of a dict": call("builtins.set", b"}"),
    "a new object": b"ctorch\nSize\n)\x81", "a call without a tuple": b"ctorch\nSize\n]R",
    "text cut short": b"X\xff\xff\xff\xff" + b"a", "a surrogate cut": b"X\x02\x00\x00\x00\xed\xa0",
    "a long number cut": b"\x8b\xff\xff\xff\x7f", "a negative length": b"\x8b\xff\xff\xff\xff",
}
TENSORS = {
    "too long": tensor((5,)), "an offset beyond": tensor((4,), (1,), 1),
    "a stride beyond": tensor((2,), (4,)), "a negative offset": tensor((1,), (1,), -1),
    "a negative size": tensor((-1,)), "a negative stride": tensor((2,), (-1,), 3),
    "huge": tensor((2**31, 2**31), (2**31, 1)), "over 64 bits": tensor((2**62, 4), (1, 1)),
    "a huge stride": tensor((2,), (2**63,)), "a huge offset": tensor((1,), (1,), 2**63),
    "zero size, huge sides": tensor((0, 2**62), (1, 1)),
    "a size repeated without end": tensor((2**40,), (0,)), "more sizes": tensor((2, 2), (1,)),
    "a hundred sizes": tensor((1,) * 100, (1,) * 100),
    "a gradient of text": tensor(grad=text("a")),
    "a size of text": V2 + b"(" + storage() + number(0) + text("a") + text("b") + b"\x89}tR",
    "no storage": tensor(of=text("a")), "bytes for elements": tensor(
        of=storage(16, name=b"ctorch.storage\nUntypedStorage\n")),
    "too few elements": tensor((3,), of=storage(3)), "too many": tensor(of=storage(5)),
    "elements below zero": tensor(of=storage(-4)), "many": tensor(of=storage(2**62)),
    "an unknown key": tensor(of=storage(key="1")), "a path as key": tensor(of=storage(key="../0")),
    "a wide digit as key": tensor(of=storage(key="\u0660")),
    "no storage class": tensor(of=storage(name=b"ctorch\nSize\n")),
    "an unknown class": tensor(of=storage(name=b"ctorch\nQInt8Storage\n")),
    "another kind": tensor(of=storage(kind="module")), "no device": tensor(
        of=storage(location="no such device")), "an id that is no tuple": b"]Q", "short": b")Q",
    "a parameter of text": call("torch._utils._rebuild_parameter", text("a"), b"\x88", b"}"),
    "a parameter of integers": call(
        "torch._utils._rebuild_parameter",
        tensor((2,), of=storage(2, name=b"ctorch\nLongStorage\n")), b"\x88", b"}"),
    "a type that is a function": call(
        "torch._tensor._rebuild_from_type_v2", V2, b"c_codecs\nencode\n", b")", b"}"),
    "a function that is none": call(
        "torch._tensor._rebuild_from_type_v2", b"]", b"ctorch\nTensor\n", b")", b"}"),
    "sparse out of nothing": call(
        "torch._utils._rebuild_sparse_tensor",
        call("torch.serialization._get_layout", text("torch.sparse_coo")), b")"),
    "no layout": call("torch.serialization._get_layout", text("torch.save")),
    "a dtype of objects": call("numpy.dtype", text("O8"), b"\x89", b"\x88"),
    "a scalar of another size": call(
        "numpy.core.multiarray.scalar", call("numpy.dtype", text("f8")),
        call("_codecs.encode", text("abc"), text("latin1"))),
    "a codec that is none": call("_codecs.encode", text("abc"), text("rot13")),
    "a device that is none": call("torch.device", text("a b")),
    "a size without end": call("torch.Size", numbers(-1)),
    "a generator's state": call("torch.Generator") + b"(" + number(1) + b"N" + tensor() + b"tb",
}


@pytest.mark.parametrize("body", [
    pytest.param(body, id=name)
    for table in (CALLS, CONTAINERS, TENSORS) for name, body in table.items()
])
def test_a_hostile_pickle_is_refused(body):
    with pytest.raises(CheckpointError):
        load(body)


def test_the_same_pieces_make_a_valid_file():
    assert load(tensor()).tolist() == [0, 1, 2, 3]
    assert load(tensor((2,), (2,), 1)).tolist() == [1, 3]
    assert load(tensor((0,), (1,))).shape == (0,)


def same(name, data):
    return [(name, data, zipfile.ZIP_STORED)]


ARCHIVES = {
    "compressed": lambda n, d: [(n, d, zipfile.ZIP_DEFLATED)],
    "compressed only where it is large": lambda n, d: [
        (n, d, zipfile.ZIP_DEFLATED if "/data/" in n else zipfile.ZIP_STORED)],
    "without a pickle": lambda n, d: [] if n.endswith("data.pkl") else same(n, d),
    "with two pickles": lambda n, d: same(n, d) + same("b/data.pkl", d)
    if n.endswith("data.pkl") else same(n, d),
    "without storages": lambda n, d: [] if "/data/" in n else same(n, d),
    "with a shorter storage": lambda n, d: same(n, d[:-1] if "/data/" in n else d),
    "with a longer storage": lambda n, d: same(n, d + b"a" if "/data/" in n else d),
    "of no byteorder": lambda n, d: same(n, b"middle" if n.endswith("order") else d),
    "of a later version": lambda n, d: same(n, b"99\n" if n.endswith("/version") else d),
    "a program": lambda n, d: same(n, d) + same("archive/constants.pkl", b"")
    if n.endswith("data.pkl") else same(n, d),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_is_refused(name):
    with pytest.raises(CheckpointError):
        fb.load(io.BytesIO(damaged_files.rezipped(ARCHIVES[name])))


def test_an_archive_written_by_zipfile_is_read():
    state = fb.load(io.BytesIO(damaged_files.rezipped(same)))
    assert state["base"].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_a_member_that_is_twice_there_is_refused():
    file = io.BytesIO(damaged_files.whole())
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data/0", b"x")
    with pytest.raises(CheckpointError, match="two members"):
        fb.load(io.BytesIO(file.getvalue()))


def test_a_local_header_of_another_name_is_refused():
    data = damaged_files.whole().replace(b"archive/data.pkl", b"archive/data.pkx", 1)
    with pytest.raises(CheckpointError, match="not where the archive says"):
        fb.load(io.BytesIO(data))


def test_a_pickle_that_was_damaged_is_refused():
    data = damaged_files.whole().replace(b"parameter", b"perimeter", 1)
    with pytest.raises(CheckpointError, match="checksum"):
        fb.load(io.BytesIO(data))


@pytest.mark.parametrize(("start", "words"), [
    (b"", "empty"), (b"hello", "no checkpoint"), (pickle.dumps({}), "plain pickle"),
    (b"PK\x03\x04aaaa", "zip"), (b"\x10" + b"\0" * 7 + b"{}", "safetensors"),
    (b"a" * 257 + b"ustar" + b"\0" * 300, "tar archive"),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "too early|exhausted"),
])
def test_other_files_are_named(start, words):
    with pytest.raises(CheckpointError, match=words):
        fb.load(io.BytesIO(start))


def test_the_error_names_the_file_and_is_what_programs_catch(tmp_path):
    path = tmp_path / "broken.pt"
    path.write_bytes(b"nothing")
    with pytest.raises(RuntimeError, match=r"broken\.pt"):
        fb.load(path)
    with pytest.raises(pickle.UnpicklingError):
        fb.load(os.fspath(path))
