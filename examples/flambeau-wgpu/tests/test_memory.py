"""Bytes and words: copies to any place, and kernels that write parts of words."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.backend import OutOfMemoryError


def filled(device, count: int):
    data = np.arange(count, dtype=np.uint8)
    buffer = device.alloc(count, 0)
    device.copy_in(buffer, 0, memoryview(data), 0)
    return buffer, data


@pytest.mark.parametrize(("offset", "count"), [(0, 0), (0, 4), (1, 1), (3, 2), (5, 11), (2, 6)])
def test_copies_from_and_to_any_byte(device, offset: int, count: int) -> None:
    buffer, data = filled(device, 23)
    found = device.copy_out(buffer, offset, count, 0)
    assert bytes(found) == data[offset : offset + count].tobytes()
    device.copy_in(buffer, offset, memoryview(bytes([200]) * count), 0)
    data[offset : offset + count] = 200
    assert bytes(device.copy_out(buffer, 0, 23, 0)) == data.tobytes()


@pytest.mark.parametrize(("to", "source"), [(0, 4), (1, 6), (8, 0)])
def test_copies_within_and_between_buffers(device, to: int, source: int) -> None:
    buffer, data = filled(device, 23)
    other, _ = filled(device, 23)
    device.copy_device(other, to, buffer, source, 8, 0)
    assert bytes(device.copy_out(other, to, 8, 0)) == data[source : source + 8].tobytes()
    device.copy_device(buffer, to, buffer, source, 8, 0)
    assert bytes(device.copy_out(buffer, to, 8, 0)) == data[source : source + 8].tobytes()


def test_items_share_words(device) -> None:
    """64 items of a group write bytes of 17 words, beside bytes that must stay."""
    x = fb.full((1000,), 7, dtype=fb.uint8).to("wgpu")
    x[1:-2:2].copy_((fb.arange(499) % 251).to(fb.uint8).to("wgpu"))
    want = np.full(1000, 7, np.uint8)
    want[1:-2:2] = np.arange(499) % 251
    np.testing.assert_array_equal(x.cpu().numpy(), want)


def test_two_items_write_one_byte(device) -> None:
    """One of the values is kept, never a mixture of both."""
    x = fb.zeros(3, dtype=fb.uint8).to("wgpu")
    index = fb.zeros(64, dtype=fb.int64).to("wgpu")
    values = fb.tensor([5, 90] * 32, dtype=fb.uint8).to("wgpu")
    found = x.scatter(0, index, values).cpu().tolist()
    assert found[0] in (5, 90) and found[1:] == [0, 0]


def test_more_groups_than_one_dimension_has(device) -> None:
    x = fb.arange(65536 * 64 + 130, dtype=fb.int32).to("wgpu")
    found = (x + 1).cpu().numpy()
    np.testing.assert_array_equal(found, np.arange(1, 65536 * 64 + 131, dtype=np.int32))


def test_the_result_may_be_an_input(device) -> None:
    for what in (fb.float32, fb.uint8):
        x = fb.arange(70).to(what).to("wgpu")
        x.mul_(x).add_(x)
        want = (2 * np.arange(70) ** 2).astype(x.cpu().numpy().dtype)
        np.testing.assert_array_equal(x.cpu().numpy(), want)


def test_more_than_kernels_can_see_is_refused(device) -> None:
    with pytest.raises(OutOfMemoryError, match="kernels see at most"):
        device.alloc(1 << 40, 0)


def test_arguments_beyond_one_submission(device) -> None:
    x = fb.zeros(4).to("wgpu")
    for _ in range(3000):
        x.add_(1.0)
    assert x.cpu().tolist() == [3000.0] * 4


def test_numbers_beyond_float32_are_infinite(device) -> None:
    assert (fb.zeros(2).to("wgpu") + 1e300).cpu().tolist() == [float("inf")] * 2
