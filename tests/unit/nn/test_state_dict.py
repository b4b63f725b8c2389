"""State dicts."""

from __future__ import annotations

from collections import OrderedDict

import pytest

import flambeau as fb
from flambeau import nn


def net():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def test_round_trip_copies_values():
    a, b = net(), net()
    result = b.load_state_dict(a.state_dict())
    assert repr(result) == "<All keys matched successfully>"
    for name, value in a.state_dict().items():
        assert bool((b.state_dict()[name] == value).all())
    a[0].weight.data.fill_(7.0)
    assert not bool((b[0].weight == 7.0).any())


def test_entries_share_memory_and_have_no_history():
    m = net()
    state = m.state_dict()
    assert list(state) == [
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
        "1.num_batches_tracked"]
    assert not state["0.weight"].requires_grad
    with fb.no_grad():
        m[0].weight.fill_(3.0)
    assert bool((state["0.weight"] == 3).all())
    assert m.state_dict(keep_vars=True)["0.weight"] is m[0].weight
    assert dict(state._metadata) == {
        "": {"version": 1}, "0": {"version": 1}, "1": {"version": 2}}
    assert next(iter(m.state_dict(prefix="x."))) == "x.0.weight"


def test_strict_lists_every_problem():
    m = net()
    state = {"0.weight": fb.zeros(3, 3), "0.x.y": 1, "2.a": 1}
    with pytest.raises(RuntimeError) as info:
        m.load_state_dict(state)
    assert str(info.value) == (
        "Error(s) in loading state_dict for Sequential:\n"
        '\tMissing key(s) in state_dict: "0.bias", "1.weight", "1.bias", "1.running_mean", '
        '"1.running_var". \n'
        '\tUnexpected key(s) in state_dict: "2.a", "0.x.y". \n'
        "\tsize mismatch for 0.weight: copying a param with shape flambeau.Size([3, 3]) from "
        "checkpoint, the shape in current model is flambeau.Size([3, 2]).")


def test_words_equal_torch():
    torch = pytest.importorskip("torch")

    def words(ns):
        m = ns.nn.Sequential(ns.nn.Linear(2, 3), ns.nn.BatchNorm1d(3))
        found = []
        for state in (
            {"0.weight": ns.zeros(3, 3), "0.x.y": 1, "2.a": 1}, {"0.weight": 3}, 5,
            {"0._extra_state": 1},
        ):
            try:
                m.load_state_dict(state)
            except (RuntimeError, TypeError) as error:
                found.append(f"{type(error).__name__}: {error}")
        found.append(repr(m.load_state_dict({"a": 1}, strict=False)))
        return found

    assert words(fb) == [w.replace("torch.", "flambeau.") for w in words(torch)]


def test_not_strict_loads_what_fits():
    m = net()
    found = m.load_state_dict({"0.bias": fb.ones(3), "zz": 1}, strict=False)
    assert "0.weight" in found.missing_keys and found.unexpected_keys == ["zz"]
    assert m[0].bias.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(RuntimeError, match="size mismatch"):
        m.load_state_dict({"0.bias": fb.ones(4)}, strict=False)


def test_assign_takes_the_tensors():
    m = nn.Linear(2, 3)
    state = {"weight": fb.ones(3, 2, dtype=fb.float64), "bias": nn.Parameter(fb.zeros(3))}
    m.weight.requires_grad_(False)
    m.load_state_dict(state, assign=True)
    assert m.weight.dtype is fb.float64 and not m.weight.requires_grad
    assert m.bias is state["bias"]


def test_loading_into_meta_warns():
    m = nn.Linear(2, 3, device="meta")
    with pytest.warns(UserWarning, match="no-op"):
        m.load_state_dict(nn.Linear(2, 3).state_dict())
    m.load_state_dict(nn.Linear(2, 3).state_dict(), assign=True)
    assert m.weight.device.type == "cpu"


def test_a_vector_of_one_loads_into_a_scalar():
    m = nn.Module()
    m.p = nn.Parameter(fb.tensor(0.0))
    m.load_state_dict({"p": fb.tensor([3.0])})
    assert m.p.item() == 3.0


def test_extra_state():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.n = 0

        def get_extra_state(self):
            return {"n": self.n}

        def set_extra_state(self, state):
            self.n = state["n"]

    a, b = Counter(), Counter()
    a.n = 5
    state = nn.Sequential(a).state_dict()
    assert list(state) == ["0._extra_state"]
    nn.Sequential(b).load_state_dict(state)
    assert b.n == 5
    with pytest.raises(RuntimeError, match="Missing key"):
        b.load_state_dict({})


def test_hooks():
    m, calls = nn.Linear(1, 1), []
    m.register_state_dict_pre_hook(lambda m, prefix, keep: calls.append((prefix, keep)))
    m.register_state_dict_post_hook(lambda m, state, prefix, meta: state.clear())
    assert list(m.state_dict(prefix="a.")) == [] and calls == [("a.", False)]
    wrong = m.register_state_dict_post_hook(lambda m, state, prefix, meta: 3)
    with pytest.raises(RuntimeError, match="post-hook must return None"):
        m.state_dict()
    wrong.remove()
    m._register_state_dict_hook(lambda m, state, prefix, meta: OrderedDict(other=1))
    assert list(m.state_dict()) == ["other"]

    m = nn.Linear(1, 1)
    m.register_load_state_dict_pre_hook(
        lambda m, state, *rest: state.__setitem__("bias", fb.ones(1)))
    m.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    m.load_state_dict({})
    assert m.bias.item() == 1.0


def test_batch_norm_without_count_loads():
    m = nn.BatchNorm1d(2)
    state = dict(m.state_dict())
    del state["num_batches_tracked"]
    m.load_state_dict(state)
    tracked = nn.BatchNorm1d(2).state_dict()
    del tracked["num_batches_tracked"]
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        m.load_state_dict(tracked)


def test_prefix_of_a_wrapper_is_stripped():
    from flambeau.nn.modules.utils import consume_prefix_in_state_dict_if_present

    state = nn.ModuleDict({"module": nn.Linear(1, 1)}).state_dict()
    consume_prefix_in_state_dict_if_present(state, "module.")
    assert list(state) == ["weight", "bias"] and list(state._metadata) == [""]
    nn.Linear(1, 1).load_state_dict(state)
