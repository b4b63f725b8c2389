"""Chained steps, against torch where it is there."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import flambeau as fb
from flambeau.data import datapipes
from flambeau.utils import data

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Lambda function is not supported"),
    pytest.mark.filterwarnings("ignore:Local function is not supported"),
]
LIBRARIES = (data, torch.utils.data)
Chain = Callable[[Any, Any], Any]


def _rows(pipes: Any) -> Any:
    return pipes.IterableWrapper([(1, 2, 3), (4, 5, 6)])


def _dicts(pipes: Any) -> Any:
    return pipes.IterableWrapper([{"a": 1, "b": 2}])


def _add(x: int, y: int) -> int:
    return x + y


ITER: dict[str, Chain] = {
    "map": lambda w, p: w.map(lambda x: x * 2),
    "map one": lambda w, p: _rows(p).map(lambda x: -x, input_col=1),
    "map several": lambda w, p: _rows(p).map(_add, input_col=[0, 2]),
    "map to": lambda w, p: _rows(p).map(_add, input_col=[0, 2], output_col=1),
    "map append": lambda w, p: _rows(p).map(_add, input_col=[0, 1], output_col=-1),
    "map key": lambda w, p: _dicts(p).map(lambda x: x + 1, input_col="a", output_col="c"),
    "filter": lambda w, p: w.filter(lambda x: x % 3 > 0),
    "filter one": lambda w, p: _rows(p).filter(lambda x: x > 2, input_col=1),
    "batch": lambda w, p: w.batch(4),
    "batch drop": lambda w, p: w.batch(4, drop_last=True),
    "batch twice": lambda w, p: w.batch(2).batch(2),
    "unbatch": lambda w, p: w.batch(2).batch(2).unbatch(),
    "unbatch 2": lambda w, p: w.batch(2).batch(2).unbatch(2),
    "unbatch all": lambda w, p: w.batch(2).batch(2).unbatch(unbatch_level=-1),
    "concat": lambda w, p: w.concat(p.IterableWrapper("ab")),
    "zip": lambda w, p: w.zip(p.IterableWrapper("abc")),
    "mux": lambda w, p: w.mux(p.IterableWrapper("abc")),
    "shuffle": lambda w, p: w.shuffle().set_seed(3),
    "shuffle buffer": lambda w, p: w.shuffle(buffer_size=3).set_seed(3),
    "shuffle off": lambda w, p: w.shuffle().set_shuffle(False),
    "sharding": lambda w, p: w.sharding_filter(),
    "collate": lambda w, p: w.batch(4).collate(collate_fn=sum),
}


@pytest.mark.parametrize("name", ITER)
def test_iterable_steps(name: str) -> None:
    ours, theirs = (
        ITER[name](lib.datapipes.iter.IterableWrapper(range(10)), lib.datapipes.iter)
        for lib in LIBRARIES
    )
    expected = list(theirs)
    assert list(ours) == expected
    assert list(map(str, ours))  # again
    try:
        length = len(theirs)
    except TypeError:
        with pytest.raises(TypeError):
            len(ours)
    else:
        assert len(ours) == length


def test_shuffling_follows_the_default_generator() -> None:
    orders = []
    for lib, seed in ((data, fb.manual_seed), (torch.utils.data, torch.manual_seed)):
        seed(5)
        pipe = lib.datapipes.iter.IterableWrapper(range(20)).shuffle()
        orders.append([list(pipe), list(pipe)])
    assert orders[0] == orders[1]
    assert orders[0][0] != orders[0][1]


MAP: dict[str, Chain] = {
    "map": lambda w, p: w.map(lambda x: x * 2),
    "batch": lambda w, p: w.batch(4),
    "batch drop": lambda w, p: w.batch(4, drop_last=True),
    "concat": lambda w, p: w.concat(p.SequenceWrapper("ab")),
    "zip": lambda w, p: w.zip(p.SequenceWrapper("abc")),
}


@pytest.mark.parametrize("name", MAP)
def test_steps_by_index(name: str) -> None:
    ours, theirs = (
        MAP[name](lib.datapipes.map.SequenceWrapper(list(range(10))), lib.datapipes.map)
        for lib in LIBRARIES
    )
    assert len(ours) == len(theirs)
    assert [ours[i] for i in range(len(ours))] == [theirs[i] for i in range(len(ours))]
    with pytest.raises(IndexError):
        ours[len(ours)]


def test_filters_say_yes_or_no() -> None:
    for lib in LIBRARIES:
        with pytest.raises(ValueError, match="Boolean output is required"):
            list(lib.datapipes.iter.IterableWrapper([1]).filter(lambda x: x))


def test_a_loader_takes_steps() -> None:
    pipe = datapipes.iter.IterableWrapper(range(6)).map(float)
    assert [b.tolist() for b in data.DataLoader(pipe, batch_size=4)] == [[0, 1, 2, 3], [4, 5]]
    indexed = datapipes.map.SequenceWrapper([1, 2, 3])
    assert [b.tolist() for b in data.DataLoader(indexed, batch_size=2)] == [[1, 2], [3]]


def test_sharding_takes_every_nth() -> None:
    pipe = datapipes.iter.IterableWrapper(range(10)).sharding_filter()
    pipe.apply_sharding(3, 1)
    assert (list(pipe), len(pipe)) == ([1, 4, 7], 3)
    with pytest.raises(ValueError, match="should be in"):
        pipe.apply_sharding(3, 3)


def test_a_second_iterator_invalidates_the_first() -> None:
    for lib in LIBRARIES:
        pipe = lib.datapipes.iter.IterableWrapper(range(3))
        first = iter(pipe)
        assert next(first) == 0
        second = iter(pipe)
        assert next(second) == 0
        with pytest.raises(RuntimeError, match="has been invalidated"):
            next(first)
        assert list(second) == [1, 2]


def test_steps_are_pickled() -> None:
    pipe = datapipes.iter.IterableWrapper([1, 2]).map(str).batch(2)
    next(iter(pipe))
    assert list(pickle.loads(pickle.dumps(pipe))) == [["1", "2"]]
    assert (repr(pipe), str(pipe)) == ("Batcher", "Batcher")
    assert "batch" in dir(pipe)
    with pytest.raises(AttributeError, match="'Batcher' object has no attribute 'nothing'"):
        _ = pipe.nothing


def test_hooks_see_what_is_pickled() -> None:
    pipe = datapipes.iter.IterableWrapper([1, 2])
    seen: list[Any] = []
    try:
        data.IterDataPipe.set_getstate_hook(lambda state: seen.append(dict(state)) or state)
        with pytest.raises(RuntimeError, match="override existing getstate_hook"):
            data.IterDataPipe.set_getstate_hook(lambda state: state)
        pickle.dumps(pipe)
        data.IterDataPipe.set_reduce_ex_hook(lambda pipe: (list, ([7],)))
        assert pickle.loads(pickle.dumps(pipe)) == [7]
    finally:
        data.IterDataPipe.set_getstate_hook(None)
        data.IterDataPipe.set_reduce_ex_hook(None)
    assert seen[0]["iterable"] == [1, 2]


def test_batches_are_chunks() -> None:
    for lib in LIBRARIES:
        chunk = lib.DataChunk(iter([1, 2]))
        assert isinstance(chunk, list)
        assert (chunk, chunk.as_str("  "), list(chunk.raw_iterator())) == (
            [1, 2],
            "  [1, 2]",
            [1, 2],
        )
    assert data.DFIterDataPipe()._is_dfpipe()


# ---- decorators ----------------------------------------------------------------------------------
def test_functional_names() -> None:
    for lib, name in zip(LIBRARIES, ("ours_doubled", "theirs_doubled"), strict=True):

        class Doubled(lib.IterDataPipe):
            def __init__(self, source: Any, factor: int = 2) -> None:
                self.source, self.factor = source, factor

            def __iter__(self) -> Iterator[Any]:
                for x in self.source:
                    yield x * self.factor

        assert lib.functional_datapipe(name)(Doubled) is Doubled
        assert list(getattr(lib.datapipes.iter.IterableWrapper([1, 2]), name)(factor=3)) == [3, 6]
        with pytest.raises(Exception, match="already taken"):
            lib.functional_datapipe(name)(Doubled)
    with pytest.raises(TypeError, match="can only decorate"):
        data.functional_datapipe("x")(dict)


def test_determinism_is_guaranteed() -> None:
    for lib in LIBRARIES:

        @lib.non_deterministic
        class Random(lib.IterDataPipe):
            def __iter__(self) -> Iterator[int]:
                yield 1

        @lib.non_deterministic(lambda wild: wild)
        class Sometimes(lib.IterDataPipe):
            def __init__(self, wild: bool) -> None:
                self.wild = wild

            def __iter__(self) -> Iterator[int]:
                yield 1

        assert list(Random()) == [1]
        with lib.guaranteed_datapipes_determinism():
            for make in (Random, lambda: Sometimes(True)):
                with pytest.raises(TypeError, match="is non-deterministic.*, but you set"):
                    make()
            assert not Sometimes(False).wild
        assert Sometimes(True).wild
        with pytest.raises(TypeError, match="can not be decorated"):
            lib.non_deterministic(3)
        with pytest.raises(TypeError, match="Only `IterDataPipe` can be decorated"):
            lib.non_deterministic(dict)


def test_samples_are_validated() -> None:
    for lib in LIBRARIES[:1]:  # torch checks none of it on this Python

        class Numbers(lib.IterDataPipe[int]):
            def __init__(self, items: list[Any]) -> None:
                self.items = items

            @lib.runtime_validation
            def __iter__(self) -> Iterator[int]:
                yield from self.items

        assert list(Numbers([1, 2])) == [1, 2]
        with pytest.raises(RuntimeError, match="Expected an instance as subtype of"):
            list(Numbers([1, "a"]))
        with lib.runtime_validation_disabled():
            assert list(Numbers([1, "a"])) == [1, "a"]
        with pytest.raises(TypeError, match="Can not decorate function other"):

            @lib.runtime_validation
            def other(self: Any) -> None: ...


def test_arguments_are_validated() -> None:
    for lib in LIBRARIES[:1]:  # torch checks none of it on this Python

        class Numbers(lib.IterDataPipe[int]):
            def __iter__(self) -> Iterator[int]:
                yield 1

        class Texts(lib.IterDataPipe[str]):
            def __iter__(self) -> Iterator[str]:
                yield "a"

        scope: dict[str, Any] = {"lib": lib}
        exec(
            "def total(pipe: lib.IterDataPipe[int | float], start=0): return sum(pipe, start)",
            scope,
        )
        total = lib.argument_validation(scope["total"])
        assert total(Numbers(), start=2) == 3
        with pytest.raises(TypeError, match="Expected argument 'pipe' as a IterDataPipe"):
            total([1])
        with pytest.raises(TypeError, match="Expected type of argument 'pipe' as a subtype"):
            total(Texts())


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (int, int | str, True),
        (int | str, int, False),
        (list[int], list, True),
        (list[bool], list[int], True),
        (list, list[int], False),
        (tuple[int, str], tuple[int, str], True),
        (tuple[int], tuple[int, str], False),
        (Any, int, False),
        (int, Any, True),
    ],
)
def test_subtypes(left: Any, right: Any, expected: bool) -> None:
    from flambeau.data.datapipes.hints import is_subtype

    assert is_subtype(left, right) is expected


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (list[int], [1], ["a"]),
        (dict[str, int], {"a": 1}, {1: 1}),
        (tuple[int, ...], (1, 2, 3), (1, "a")),
        (tuple[int, str], (1, "a"), (1,)),
        (set[int], {1}, {"a"}),
        (int | None, None, "a"),
        (None, None, 1),
        (bool, True, 2),
    ],
)
def test_values_of_hints(hint: Any, good: Any, bad: Any) -> None:
    from flambeau.data.datapipes.hints import allows

    assert allows(hint, good)
    assert not allows(hint, bad)
