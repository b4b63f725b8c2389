"""Seeds, states and generators."""

from __future__ import annotations

import copy
import pickle

import pytest

import flambeau as fb


@pytest.fixture(autouse=True)
def _keep_the_stream():
    with fb.random.fork_rng():
        yield


def test_manual_seed_starts_the_default_stream():
    assert fb.manual_seed(3) is fb.default_generator is fb.random.default_generator
    first = fb.rand(4)
    assert fb.initial_seed() == 3
    fb.manual_seed(3)
    assert fb.rand(4).tolist() == first.tolist()
    assert fb.rand(4, generator=fb.Generator().manual_seed(3)).tolist() == first.tolist()


@pytest.mark.parametrize(
    ("seed", "initial"), [(-1, 2**64 - 1), (2**63, 2**63), (5.0, 5), (True, 1)])
def test_what_is_a_seed(seed, initial):
    fb.manual_seed(seed)
    assert fb.initial_seed() == initial


@pytest.mark.parametrize("seed", ["a", 2**64, -(2**63) - 1])
def test_what_is_no_seed(seed):
    with pytest.raises(ValueError, match="invalid literal|does not fit"):
        fb.manual_seed(seed)
    with pytest.raises(RuntimeError, match="expected an int, but got float"):
        fb.Generator().manual_seed(1.5)


def test_seed_is_of_the_system_and_reported():
    one = fb.seed()
    assert fb.initial_seed() == one != fb.seed()


def test_state_round_trip_keeps_the_half_of_a_pair_of_normals():
    fb.manual_seed(0)
    fb.randn(3)
    state = fb.get_rng_state()
    assert state.dtype is fb.uint8 and state.shape == (5056,)
    after = fb.randn(5)
    fb.set_rng_state(state)
    assert fb.randn(5).tolist() == after.tolist()
    other = fb.Generator()
    other.set_state(state)
    assert fb.randn(5, generator=other).tolist() == after.tolist()


def test_states_are_exchanged_with_torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(11)
    torch.randn(7)
    fb.set_rng_state(fb.from_numpy(torch.get_rng_state().numpy()))
    assert fb.initial_seed() == 11
    assert fb.randn(5).tolist() == torch.randn(5).tolist()
    torch.set_rng_state(torch.from_numpy(fb.get_rng_state().numpy()))
    assert fb.rand(3).tolist() == torch.rand(3).tolist()


@pytest.mark.parametrize("state", [fb.zeros(5056), [0] * 5056, None], ids=["float", "list", "none"])
def test_a_state_is_a_byte_tensor(state):
    with pytest.raises(TypeError, match="ByteTensor"):
        fb.set_rng_state(state)


def test_a_state_has_a_size_and_a_form():
    with pytest.raises(RuntimeError, match="size to be 3"):
        fb.set_rng_state(fb.zeros(3, dtype=fb.uint8))
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        fb.set_rng_state(fb.zeros(5056, dtype=fb.uint8))


def test_generators_are_apart_and_can_be_copied():
    one, other = (fb.Generator().manual_seed(1) for _ in range(2))
    fb.rand(5, generator=one)
    clones = [one.clone_state(), pickle.loads(pickle.dumps(one)), copy.deepcopy(one)]
    expected = fb.rand(3, generator=one).tolist()
    assert all(type(c) is fb.Generator for c in clones)
    assert [fb.rand(3, generator=c).tolist() for c in clones] == [expected] * 3
    assert fb.rand(5, generator=other).tolist() == fb.rand(
        5, generator=fb.Generator().manual_seed(1)).tolist()


def test_a_generator_names_its_device():
    assert fb.Generator().device == fb.device("cpu")
    assert fb.Generator("cuda:1").device == fb.device("cuda", 1)
    assert fb.Generator().initial_seed() == 67280421310721
    with pytest.raises(RuntimeError, match="Invalid device"):
        fb.Generator("no device")


def test_fork_rng_gives_the_state_back():
    fb.manual_seed(0)
    with fb.random.fork_rng():
        forked = fb.rand(2)
        fb.manual_seed(9)
    assert fb.initial_seed() == 0
    assert fb.rand(2).tolist() == forked.tolist()
    with fb.random.fork_rng(enabled=False):
        fb.manual_seed(9)
    assert fb.initial_seed() == 9
    with pytest.raises(ZeroDivisionError), fb.random.fork_rng():
        fb.manual_seed(1)
        1 / 0  # noqa: B018
    assert fb.initial_seed() == 9
