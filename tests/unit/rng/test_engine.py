from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

from flambeau import rng
from flambeau.rng import Generator


def test_words_are_those_of_the_reference_implementation() -> None:
    # First outputs of mt19937ar.c for init_genrand(5489), its default seed.
    words = rng.random32(Generator().manual_seed(5489), 3)
    assert words.dtype == np.uint32
    assert words.tolist() == [3499211612, 581869302, 3890346734]


def test_a_64_bit_word_is_two_words_the_high_one_first() -> None:
    high, low = rng.random32(Generator().manual_seed(5489), 2).tolist()
    word = rng.random64(Generator().manual_seed(5489), 1)
    assert word.dtype == np.uint64
    assert word.tolist() == [high << 32 | low]


def test_words_do_not_depend_on_how_many_are_drawn_at_once() -> None:
    at_once = rng.random32(Generator().manual_seed(3), 2000)
    generator = Generator().manual_seed(3)
    parts = [rng.random32(generator, n) for n in (1, 0, 622, 2, 1375)]
    assert np.array_equal(np.concatenate(parts), at_once)


def test_a_new_generator_has_pytorchs_default_seed() -> None:
    generator = Generator()
    assert generator.initial_seed() == rng.DEFAULT_SEED == 67280421310721
    expected = rng.random32(Generator().manual_seed(67280421310721), 4)
    assert np.array_equal(rng.random32(generator, 4), expected)


def test_manual_seed_returns_the_generator_and_restarts_it() -> None:
    generator = Generator()
    assert generator.manual_seed(7) is generator
    first = rng.random32(generator, 5)
    assert np.array_equal(rng.random32(generator.manual_seed(7), 5), first)


@pytest.mark.parametrize("number", [np.int64(9), np.uint8(9)])
def test_manual_seed_takes_numpy_integers(number: np.integer) -> None:
    assert Generator().manual_seed(number).initial_seed() == 9


def test_manual_seed_drops_the_cached_normal(generator: Generator) -> None:
    rng.normal(generator, 1, "float32")
    first = rng.normal(generator.manual_seed(5), 1, "float32")
    assert first == rng.normal(Generator().manual_seed(5), 1, "float32")


def test_only_the_low_32_bits_of_a_seed_matter() -> None:
    wide, narrow = Generator().manual_seed(2**40 + 5), Generator().manual_seed(5)
    assert wide.initial_seed() == 2**40 + 5
    assert np.array_equal(rng.random32(wide, 9), rng.random32(narrow, 9))


def test_a_negative_seed_counts_from_2_to_the_64() -> None:
    assert Generator().manual_seed(-1).initial_seed() == 2**64 - 1


@pytest.mark.parametrize("seed", [1.5, True, "3", None])
def test_a_seed_must_be_an_integer(seed: object) -> None:
    with pytest.raises(RuntimeError, match=f"expected an int, but got {type(seed).__name__}"):
        Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_a_seed_must_fit_in_64_bits(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed {seed} does not fit"):
        Generator().manual_seed(seed)


def test_seed_takes_another_seed_each_time() -> None:
    generator = Generator()
    first, second = generator.seed(), generator.seed()
    assert first != second == generator.initial_seed()
    expected = rng.random32(Generator().manual_seed(second), 3)
    assert np.array_equal(rng.random32(generator, 3), expected)


def test_unseeded_generators_differ_and_keep_the_seed_they_took() -> None:
    one, other = Generator.unseeded(), Generator.unseeded()
    assert not np.array_equal(rng.random32(one, 4), rng.random32(other, 4))
    assert one.initial_seed() == one.initial_seed() != other.initial_seed()
    again = Generator().manual_seed(other.initial_seed())
    rng.random32(again, 4)
    assert np.array_equal(rng.random32(again, 4), rng.random32(other, 4))


def test_the_default_generator_is_not_seeded_the_same_in_every_process() -> None:
    code = "import flambeau; print(flambeau.initial_seed())"
    seeds = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        .stdout.strip()
        for _ in range(2)
    }  # fmt: skip
    assert len(seeds) == 2


def test_importing_does_not_load_numpy_random() -> None:
    code = "import sys, flambeau.rng; print([m for m in sys.modules if m == 'numpy.random'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("duplicate", [
    copy.copy, copy.deepcopy, Generator.clone_state, lambda g: pickle.loads(pickle.dumps(g)),
])  # fmt: skip
def test_a_copy_goes_on_as_the_original_would(duplicate, generator: Generator) -> None:
    rng.normal(generator, 3, "float32")  # leaves a cached normal
    twin = duplicate(generator)
    assert twin.device == "cpu"
    assert twin.initial_seed() == generator.initial_seed()
    expected = rng.normal(generator, 4, "float64")
    assert np.array_equal(rng.normal(twin, 4, "float64"), expected)


def test_a_subclass_stays_one_when_copied() -> None:
    class Named(Generator):
        pass

    assert type(Named().clone_state()) is type(Named.unseeded()) is Named


def test_threads_share_one_stream_without_losing_a_word() -> None:
    shared, drawn = Generator().manual_seed(1), []

    def draw() -> None:
        drawn.extend(rng.random64(shared, 40) for _ in range(50))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = rng.random64(Generator().manual_seed(1), 4 * 50 * 40)
    assert np.array_equal(np.sort(np.concatenate(drawn)), np.sort(expected))


def test_a_draw_of_many_chunks_is_not_interrupted_by_another_thread() -> None:
    shared, found = Generator().manual_seed(2), []
    started = threading.Event()

    def draw() -> None:
        started.set()
        found.append(rng.uniform(shared, 400_000, "float32"))

    thread = threading.Thread(target=draw)
    thread.start()
    started.wait()
    mine = [rng.uniform(shared, 400_000, "float32") for _ in range(3)]
    thread.join()
    generator = Generator().manual_seed(2)
    expected = {rng.uniform(generator, 400_000, "float32").tobytes() for _ in range(4)}
    assert {x.tobytes() for x in [*mine, *found]} == expected


def test_seeds_agree_with_pytorch(twins) -> None:
    for seed in (0, 5, -1, -(2**63), 2**64 - 1, 2**32, 123456789):
        twins.ours.manual_seed(seed)
        twins.theirs.manual_seed(seed)
        assert twins.ours.initial_seed() == twins.theirs.initial_seed()
        twins.agree(rng.random_(twins.ours, 700, "int64"),
                    twins.empty(700, "int64").random_(generator=twins.theirs))  # fmt: skip
