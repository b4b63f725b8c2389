from __future__ import annotations

import numpy as np
import pytest

from flambeau import rng
from flambeau.rng import Generator
from flambeau.rng.state import State, pack, unpack


@pytest.mark.parametrize("drawn", [0, 1, 300, 623, 624, 625, 1248])
def test_a_restored_generator_goes_on_where_the_state_was_taken(drawn: int) -> None:
    generator = Generator().manual_seed(2**40 + 3)
    rng.random32(generator, drawn)
    state = generator.state_bytes()
    assert (state.dtype, state.shape) == (np.uint8, (rng.STATE_SIZE,))
    expected = rng.random32(generator, 700)
    restored = Generator()
    restored.load_state_bytes(state)
    assert restored.initial_seed() == 2**40 + 3
    assert np.array_equal(restored.state_bytes(), state)
    assert np.array_equal(rng.random32(restored, 700), expected)


def test_taking_the_state_does_not_disturb_the_stream(generator: Generator) -> None:
    generator.state_bytes()[:] = 0
    expected = rng.random32(Generator().manual_seed(0), 5)
    assert np.array_equal(rng.random32(generator, 5), expected)


def test_the_cached_normals_are_part_of_the_state() -> None:
    state = State(3, np.arange(624, dtype=np.uint32), 100, -0.75, 1.5)
    found = unpack(pack(state))
    assert (found.next_normal, found.next_float_normal) == (-0.75, 1.5)
    generator = Generator()
    generator.load_state_bytes(pack(state))
    assert np.array_equal(generator.state_bytes(), pack(state))
    assert rng.normal(generator, 1, "float64") == -0.75


def test_another_type_of_array_is_refused(generator: Generator) -> None:
    with pytest.raises(TypeError, match="array of uint8, not of float32"):
        generator.load_state_bytes(np.zeros(5056, np.float32))


@pytest.mark.parametrize("size", [0, 16, 5048])
def test_another_size_is_refused(size: int, generator: Generator) -> None:
    with pytest.raises(RuntimeError, match=f"size 5056 but found .* to be {size};"):
        generator.load_state_bytes(np.zeros(size, np.uint8))


@pytest.mark.parametrize(("offset", "value"), [(12, 0), (8, 0), (8, 7), (16, 9)])
def test_a_damaged_state_is_refused_and_changes_nothing(offset: int, value: int) -> None:
    generator = Generator().manual_seed(4)
    rng.random32(generator, 10)
    before = generator.state_bytes()
    damaged = before.copy()
    damaged[offset : offset + 2] = value, 0
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        generator.load_state_bytes(damaged)
    assert np.array_equal(generator.state_bytes(), before)


@pytest.mark.parametrize("drawn", [0, 1, 2, 311, 312, 313, 624])
def test_states_pass_between_pytorch_and_us(drawn: int, twins) -> None:
    torch = twins.torch
    twins.agree(rng.random_(twins.ours, drawn, "int64"),
                twins.empty(drawn, "int64").random_(generator=twins.theirs))  # fmt: skip
    twins.agree(rng.normal(twins.ours, 1, "float32"),
                twins.empty(1, "float32").normal_(generator=twins.theirs))  # fmt: skip
    theirs = torch.Generator()
    theirs.set_state(torch.from_numpy(twins.ours.state_bytes()))
    ours = Generator()
    ours.load_state_bytes(twins.theirs.get_state().numpy())
    twins.ours, twins.theirs = ours, theirs
    twins.agree(rng.normal(ours, 9, "float64"),
                twins.empty(9, "float64").normal_(generator=theirs))  # fmt: skip
