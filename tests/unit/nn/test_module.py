"""Registration and attributes of modules."""

from __future__ import annotations

import copy
import pickle
import typing

import pytest

import flambeau as fb
from flambeau import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.second = nn.Sequential(nn.Linear(3, 3), nn.Identity())
        self.register_buffer("count", fb.zeros(1))
        self.scale = nn.Parameter(fb.ones(3))

    def forward(self, x):
        return self.second(self.first(x)) * self.scale


def test_named_parts_come_in_order_of_registration():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == [
        "scale", "first.weight", "first.bias", "second.0.weight", "second.0.bias"]
    assert [n for n, _ in net.named_buffers()] == ["count"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "second", "second.0", "second.1"]
    assert [n for n, _ in net.named_children()] == ["first", "second"]


def test_shared_parts_are_listed_once():
    linear = nn.Linear(2, 2)
    net = nn.Sequential(linear, linear)
    assert len(list(net.parameters())) == 2
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert len(list(net.modules())) == 2
    assert len(list(net.children())) == 1
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_assigning_replaces_what_the_name_stood_for():
    net = Net()
    net.extra = 3
    net.extra = nn.Parameter(fb.ones(1))
    assert "extra" in net._parameters and "extra" not in net.__dict__
    net.extra = None
    assert net.extra is None and "extra" in net._parameters
    del net.extra
    assert not hasattr(net, "extra")
    net.count = None
    assert net.count is None and "count" in net._buffers


def test_buffer_class_registers():
    net = Net()
    net.kept = nn.Buffer(fb.ones(2))
    net.dropped = nn.Buffer(fb.ones(2), persistent=False)
    assert [n for n, _ in net.named_buffers()] == ["count", "kept", "dropped"]
    assert "kept" in net.state_dict() and "dropped" not in net.state_dict()
    assert isinstance(net.kept, nn.Buffer) and not isinstance(net.count, nn.Buffer)


def test_persistence_follows_the_last_registration():
    net = Net()
    net.register_buffer("count", fb.zeros(1), persistent=False)
    assert "count" not in net.state_dict()
    net.register_buffer("count", fb.zeros(1))
    assert "count" in net.state_dict()


@pytest.mark.parametrize(("act", "error", "words"), [
    (lambda m: m.register_parameter("weight", 3), TypeError, "cannot assign 'int' object to par"),
    (lambda m: setattr(m, "weight", 3), TypeError, "cannot assign 'int' as parameter 'weight'"),
    (lambda m: setattr(m, "weight", nn.Identity()), TypeError, "as parameter 'weight'"),
    (lambda m: setattr(nn.Sequential(m), "0", 3), TypeError, "as child module '0'"),
    (lambda m: setattr(Net(), "count", 3), TypeError, "as buffer 'count'"),
    (lambda m: m.register_buffer("x", 3), TypeError, "object to buffer 'x'"),
    (lambda m: m.foo, AttributeError, "'Linear' object has no attribute 'foo'"),
    (lambda m: delattr(m, "foo"), AttributeError, "foo"),
    (lambda m: m.register_parameter("a.b", None), KeyError, "contain"),
    (lambda m: m.register_buffer("", None), KeyError, "be empty string"),
    (lambda m: m.add_module(3, m), TypeError, "module name should be a string. Got int"),
    (lambda m: m.add_module("forward", m), KeyError, "attribute 'forward' already exists"),
    (lambda m: m.add_module("x", 3), TypeError, "int is not a Module subclass"),
    (lambda m: m.register_parameter("p", fb.ones(2)), TypeError, "flambeau.nn.Parameter or None"),
    (lambda m: nn.Module(3), TypeError, "takes 1 positional argument but 2 were given"),
    (lambda m: nn.Module(a=3), TypeError, "unexpected keyword argument 'a'"),
    (lambda m: nn.Module()(3), NotImplementedError, 'missing the required "forward"'),
    (lambda m: m.train(2), ValueError, "training mode is expected to be boolean"),
    (lambda m: m.get_submodule("x"), AttributeError, "Linear has no attribute `x`"),
    (lambda m: m.get_submodule("weight"), AttributeError, "`weight` is not an nn.Module"),
    (lambda m: m.get_parameter("training"), AttributeError, "`training` is not an nn.Parameter"),
    (lambda m: m.get_buffer("weight"), AttributeError, "`weight` is not a buffer"),
    (lambda m: m.set_submodule("", m), ValueError, "without a target name"),
])
def test_refused(act, error, words):
    with pytest.raises(error) as info:
        act(nn.Linear(2, 2))
    assert words in str(info.value)


def test_parts_need_the_constructor_first():
    class Early(nn.Module):
        def __init__(self, part):
            self.part = part

    with pytest.raises(AttributeError, match="cannot assign module before"):
        Early(nn.Identity())
    with pytest.raises(AttributeError, match="cannot assign parameters before"):
        Early(nn.Parameter(fb.ones(1)))


def test_a_non_leaf_is_no_parameter():
    product = nn.Parameter(fb.ones(2)) * 2
    with pytest.raises(TypeError, match="cannot assign"):
        nn.Identity().register_parameter("p", product)


def test_finding_by_name():
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("second.0") is net.second[0]
    assert net.get_parameter("second.0.bias") is net.second[0].bias
    assert net.get_buffer("count") is net.count
    replacement = nn.Identity()
    net.set_submodule("second.0", replacement)
    assert net.second[0] is replacement


def test_modes_and_flags_reach_all_modules():
    net = Net()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    seen = []
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "Linear", "Identity", "Sequential", "Net"]


def test_zero_grad():
    net = Net()
    net(fb.ones(1, 2)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(bool((p.grad == 0).all()) for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_deepcopy_and_pickle_keep_values_and_sharing():
    net = Net()
    net.tied = net.first.weight
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.tied is other.first.weight and other.first.weight is not net.first.weight
        assert type(other.first.weight) is nn.Parameter
        for name, value in net.state_dict().items():
            assert bool((other.state_dict()[name] == value).all())
        other.first.weight.data.add_(1.0)
        assert not bool((other.first.weight == net.first.weight).any())


def test_repr_nests():
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (second): Sequential(\n"
        "    (0): Linear(in_features=3, out_features=3, bias=True)\n"
        "    (1): Identity()\n"
        "  )\n"
        ")")


def test_dir_lists_parts():
    names = dir(Net())
    assert {"first", "count", "scale", "forward"} <= set(names)
    assert "0" not in dir(nn.Sequential(nn.Identity()))


def test_annotations_of_a_module_can_be_looked_up():
    class Mine(nn.Linear):
        scale: float

    assert typing.get_type_hints(Mine)["scale"] is float
