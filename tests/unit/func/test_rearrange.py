"""``rearrange`` against PyTorch."""

import pytest

import flambeau as fb
from flambeau.func import rearrange


@pytest.mark.parametrize(("pattern", "lengths"), [
    ("a b c -> c a b", {}), ("a b c -> (a c) b", {}), ("a (x y) c -> y a 1 (c x)", {"x": 2}),
    ("a ... -> ... a", {}), ("... c -> c (...)", {}), ("a b c -> a () b c", {}),
    ("(a b) ... -> a ... b", {"a": 1, "b": 2}),
])  # fmt: skip
def test_values(pattern, lengths):
    torch = pytest.importorskip("torch")
    mine = rearrange(fb.arange(24).reshape(2, 4, 3), pattern, **lengths)
    theirs = torch.func.rearrange(torch.arange(24).reshape(2, 4, 3), pattern, **lengths)
    assert mine.tolist() == theirs.tolist()


def test_lists_are_stacked():
    assert rearrange([fb.ones(2), fb.zeros(2)], "n a -> a n").tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize(("pattern", "lengths", "words"), [
    ("a b", {}, "one '->'"), ("a b -> b", {}, "one side"), ("a a -> a a", {}, "twice"),
    ("a b -> (a b", {}, "unbalanced"), ("a b c -> c b a", {}, "does not fit"),
    ("(x y) b -> x y b", {}, "all but one"), ("(x y) b -> x y b", {"x": 4}, "cannot be"),
    ("a b -> b a", {"c": 1}, "sizes are given"), ("a 2 -> a", {}, "cannot read"),
])  # fmt: skip
def test_errors(pattern, lengths, words):
    with pytest.raises(ValueError, match=words):
        rearrange(fb.ones(2, 3), pattern, **lengths)
