"""Storages: bytes and typed memory, shared with tensors."""

import pytest

import flambeau as fb

CLASSES = {
    fb.float64: fb.DoubleStorage, fb.float32: fb.FloatStorage, fb.float16: fb.HalfStorage,
    fb.bfloat16: fb.BFloat16Storage, fb.int64: fb.LongStorage, fb.int32: fb.IntStorage,
    fb.int16: fb.ShortStorage, fb.int8: fb.CharStorage, fb.uint8: fb.ByteStorage,
    fb.bool: fb.BoolStorage, fb.complex64: fb.ComplexFloatStorage,
    fb.complex128: fb.ComplexDoubleStorage,
}


@pytest.mark.parametrize("dtype", CLASSES, ids=str)
def test_a_typed_storage_is_the_memory_of_a_tensor(dtype):
    t = fb.zeros(2, 3, dtype=dtype)
    storage = t.t()[1:].storage()
    assert isinstance(storage, CLASSES[dtype]) and t.storage_type() is CLASSES[dtype]
    assert (storage.dtype, len(storage), storage.size()) == (dtype, 6, 6)
    assert storage.nbytes() == 6 * dtype.itemsize == len(t.untyped_storage())
    storage[1] = 1
    assert t[0, 1] == 1 and storage.tolist() == t.flatten().tolist()
    assert storage.type() == f"flambeau.{CLASSES[dtype].__name__}"
    assert storage.data_ptr() == t.data_ptr() and storage == t.storage()


def test_making_storages():
    assert fb.FloatStorage([1, 2.5]).tolist() == [1, 2.5]
    assert len(fb.LongStorage(4)) == 4 and len(fb.Storage()) == 0
    assert fb.TypedStorage([1, 2], dtype=fb.int8).dtype is fb.int8
    assert fb.UntypedStorage([1, 255]).tolist() == [1, 255]
    shared = fb.UntypedStorage(8)
    assert fb.IntStorage(wrap_storage=shared).untyped() == shared
    for call in (lambda: fb.FloatStorage(1, 2), lambda: fb.UntypedStorage(-1),
                 lambda: fb.TypedStorage(3, wrap_storage=shared, dtype=fb.int8)):
        with pytest.raises(RuntimeError):
            call()
    for call in (lambda: fb.FloatStorage("x"), lambda: fb.TypedStorage(
            wrap_storage=3, dtype=fb.int8)):
        with pytest.raises(TypeError):
            call()


def test_values():
    s = fb.FloatStorage([1, 2, 3])
    assert s.clone().fill_(4).tolist() == [4, 4, 4] and list(s) == [1, 2, 3]
    assert fb.FloatStorage(3).copy_(fb.LongStorage([5, 6, 7])).tolist() == [5, 6, 7]
    with pytest.raises(RuntimeError, match="size does not match"):
        s.copy_(fb.FloatStorage(2))
    with pytest.raises(IndexError, match="index 3 out of range for storage of size 3"):
        s[3]
    with pytest.raises(RuntimeError, match="slices"):
        s[0:1]
    part = fb.UntypedStorage([1, 2, 3, 4])[1:3]
    part[0] = 9
    assert part.tolist() == [9, 3]


def test_conversions():
    s = fb.FloatStorage([1, 0, 3])
    assert s.long().tolist() == [1, 0, 3] and s.float() is s
    assert s.bool().tolist() == [True, False, True] and s.half().dtype is fb.float16
    assert s.type(fb.IntStorage).dtype is fb.int32
    assert s.type("torch.ByteStorage").tolist() == [1, 0, 3]
    assert s.to(device="meta").device.type == "meta" and s.cpu() is s
    assert fb.UntypedStorage([1, 2]).float().tolist() == [1, 2]
    with pytest.raises(ValueError, match="invalid type"):
        s.type("torch.OtherStorage")


def test_sizes_change():
    s = fb.FloatStorage([1, 2, 3])
    assert s.resize_(5).size() == 5 and s.tolist()[:3] == [1, 2, 3]
    assert s.resize_(1).tolist() == [1] and s.untyped().resize_(0).nbytes() == 0


def test_bytes_of_buffers_and_their_order():
    make = fb.UntypedStorage.from_buffer
    assert make(b"abc", "native").tolist() == [97, 98, 99]
    little = fb.IntStorage.from_buffer(b"\x01\0\0\0\x02\0\0\0", "little")
    assert little.tolist() == [1, 2]
    assert fb.IntStorage.from_buffer(b"\0\0\0\x01", "big").tolist() == [1]
    later = fb.ShortStorage.from_buffer(b"xx\x05\0\x06\0", "little", count=1, offset=2)
    assert later.tolist() == [5]
    little.untyped().byteswap(fb.int32)
    assert little.tolist() == [1 << 24, 2 << 24]
    for arguments in ((b"abc", "middle"), (b"ab", "native", 3)):
        with pytest.raises((ValueError, TypeError)):
            make(*arguments)
    with pytest.raises(ValueError, match="multiple of element size"):
        make(b"abc", "native", dtype=fb.int16)


def test_files_as_memory(tmp_path):
    path = tmp_path / "data"
    t = fb.from_file(str(path), shared=True, size=4, dtype=fb.int32)
    t.copy_(fb.arange(4))
    assert fb.IntStorage.from_file(path, False, 4).tolist() == [0, 1, 2, 3]
    private = fb.UntypedStorage.from_file(path)
    private[0] = 7
    assert private.filename == str(path)
    assert path.read_bytes()[:4] == b"\0\0\0\0" and private.nbytes() == 16
    with pytest.raises(RuntimeError, match="16"):
        fb.from_file(str(path), size=5)


def test_tensors_over_storages():
    s = fb.FloatStorage([1, 2, 3, 4])
    t = fb.empty(0).set_(s)
    assert t.tolist() == [1, 2, 3, 4]
    assert fb.empty(0).set_(s, 1, (2,), (2,)).tolist() == [2, 4]
    assert fb.empty(0, dtype=fb.int32).set_(s.untyped()).shape == (4,)
    t.set_(fb.zeros(2))
    assert t.tolist() == [0, 0] and t.set_().shape == (0,)
    with pytest.raises(RuntimeError, match="Expected a Storage of type"):
        fb.empty(0, dtype=fb.int64).set_(s)
    with pytest.raises(RuntimeError):
        fb.empty(0, dtype=fb.int64).set_(fb.zeros(2))
    with pytest.raises(RuntimeError, match="non-negative"):
        fb.empty(0).set_(s, 0, (2,), (-1,))


def test_shared_memory_and_what_is_asked():
    s = fb.FloatStorage([1, 2])
    assert not fb.ones(1 << 18).is_shared()  # large ones lie in mappings, too
    assert not s.is_shared() and s.share_memory_().is_shared() and s.tolist() == [1, 2]
    assert fb.is_storage(s) and fb.is_storage(s.untyped()) and not fb.is_storage(fb.ones(1))
    assert (s.get_device(), s.is_cuda, s.is_sparse, s.is_pinned(), s.resizable()) == (
        -1, False, False, False, True)
    assert (s.element_size(), s.untyped().element_size(), s.pickle_storage_type()) == (
        4, 1, "FloatStorage")
    assert repr(fb.ByteStorage([7])) == (
        " 7\n[flambeau.storage.TypedStorage(dtype=flambeau.uint8, device=cpu) of size 1]")
    assert repr(fb.UntypedStorage([7])) == (
        " 7\n[flambeau.storage.UntypedStorage(device=cpu) of size 1]")
