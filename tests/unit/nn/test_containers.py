"""Sequential, lists and dicts of modules and parameters."""

from __future__ import annotations

from collections import OrderedDict

import pytest

import flambeau as fb
from flambeau import nn


def identities(n):
    return [nn.Identity() for _ in range(n)]


def test_sequential_by_position_and_name():
    a, b, c = identities(3)
    s = nn.Sequential(OrderedDict(first=a, second=b))
    assert s.first is a and s[1] is b and s[-1] is b and len(s) == 2
    assert list(s[:1]) == [a] and isinstance(s[:1], nn.Sequential)
    s[0] = c
    assert s.first is c
    assert list(nn.Sequential(a) + nn.Sequential(b)) == [a, b]
    assert len(nn.Sequential(a, b) * 3) == len(2 * nn.Sequential(a, b, c)) == 6


def test_sequential_edits_keep_names_consecutive():
    a, b, c, d = identities(4)
    s = nn.Sequential(a, b, c)
    del s[0]
    assert list(s._modules) == ["0", "1"] and list(s) == [b, c]
    s.insert(1, d)
    assert list(s) == [b, d, c]
    assert s.pop(1) is d
    s.append(a).extend([d])
    assert list(s) == [b, c, a, d]
    s += nn.Sequential(b)
    assert len(s) == 5


def test_sequential_passes_through():
    s = nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (2, 2)))
    assert s(fb.ones(4)).shape == (2, 2)


def test_module_list():
    a, b, c = identities(3)
    items = nn.ModuleList([a, b])
    items += [c]
    assert items[-1] is c and list(items[1:]) == [b, c]
    joined = items + nn.ModuleList([a])
    assert len(joined) == 4
    items.insert(0, c)
    assert list(items) == [c, a, b, c]
    del items[1:3]
    assert list(items) == [c, c] and list(items._modules) == ["0", "1"]


def test_module_list_repr_counts_equal_neighbours():
    items = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1), nn.Identity()])
    assert repr(items) == (
        "ModuleList(\n"
        "  (0-1): 2 x Linear(in_features=1, out_features=1, bias=True)\n"
        "  (2): Identity()\n"
        ")")
    assert repr(nn.ModuleList()) == "ModuleList()"


def test_module_dict():
    a, b, c = identities(3)
    d = nn.ModuleDict({"a": a})
    d.update([("b", b)])
    d["c"] = c
    assert list(d) == ["a", "b", "c"] and "b" in d and d["b"] is b and len(d) == 3
    assert d.pop("a") is a and list(d.keys()) == ["b", "c"]
    assert [n for n, _ in d.items()] == ["b", "c"] and list(d.values()) == [b, c]
    d.clear()
    assert len(d) == 0


def test_parameter_list():
    p = nn.ParameterList([fb.ones(2, 3), nn.Parameter(fb.zeros(1)), 7])
    assert isinstance(p[0], nn.Parameter) and p[2] == 7 and len(p) == 3
    assert [n for n, _ in p.named_parameters()] == ["0", "1"]
    p[0] = fb.zeros(2)
    assert p[0].shape == (2,) and len(p[:2]) == 2
    p += [fb.ones(1)]
    assert len(p) == 4 and [type(v) for v in p][-1] is nn.Parameter


def test_parameter_dict():
    d = nn.ParameterDict({"b": fb.ones(1), "a": nn.Parameter(fb.zeros(2))})
    assert list(d) == ["a", "b"] and isinstance(d["b"], nn.Parameter)
    assert d.get("c") is None and d.setdefault("c", 3) == 3 and d.pop("c") == 3
    assert d.popitem()[0] == "b" and len(d) == 1
    merged = d | nn.ParameterDict({"z": fb.ones(1)})
    assert list(merged) == ["a", "z"] and list(d) == ["a"]
    assert list(reversed(merged)) == ["z", "a"]
    d.clear()
    assert len(d) == 0


@pytest.mark.parametrize(("act", "error", "words"), [
    (lambda: nn.Sequential()[0], IndexError, "index 0 is out of range"),
    (lambda: nn.Sequential() + 1, ValueError, "add operator supports only objects of Seq"),
    (lambda: nn.Sequential() * 0, ValueError, "Non-positive multiplication factor 0"),
    (lambda: nn.Sequential() * "a", TypeError, "unsupported operand type"),
    (lambda: nn.Sequential().insert(9, nn.Identity()), IndexError, "Index out of range: 9"),
    (lambda: nn.Sequential().insert(0, 1), AssertionError, "module should be of type"),
    (lambda: nn.ModuleList(3), TypeError, "ModuleList.extend should be called with an iterable"),
    (lambda: nn.ModuleList([1]), TypeError, "int is not a Module subclass"),
    (lambda: nn.ModuleDict([1]), TypeError, "sequence element #0 should be Iterable"),
    (lambda: nn.ModuleDict([(1, 2, 3)]), ValueError, "has length 3; 2 is required"),
    (lambda: nn.ModuleDict(3), TypeError, "iterable of key/value pairs, but got int"),
    (lambda: nn.ModuleDict({"keys": nn.Identity()}), KeyError, "attribute 'keys' already exists"),
    (lambda: nn.ParameterList(3), TypeError, "ParameterList.extend should be called with"),
    (lambda: nn.ParameterDict({3: 3}), TypeError, "not a string (type is 'int')"),
    (lambda: nn.ParameterDict()["x"], KeyError, "x"),
    (lambda: nn.ParameterList()(1), RuntimeError, "should not be called"),
])
def test_refused(act, error, words):
    with pytest.raises(error) as info:
        act()
    assert words in str(info.value)


def test_reprs_equal_torch():
    torch = pytest.importorskip("torch")

    def build(ns):
        return [
            ns.nn.ParameterList([ns.zeros(2, 3), 3]), ns.nn.ModuleDict({"a": ns.nn.Identity()}),
            ns.nn.ModuleList([ns.nn.Linear(1, 2)] * 3), ns.nn.ParameterDict({"a": 1})]

    for mine, theirs in zip(build(fb), build(torch), strict=True):
        assert repr(mine) == repr(theirs).replace("torch.", "flambeau.")
