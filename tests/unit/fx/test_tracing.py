"""Graphs of modules: the same nodes as torch.fx gives, and the same results as the module's."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from typing import Any

import pytest

import flambeau as fb
from flambeau import fx


def twice(x: Any) -> Any:
    return x * 2


fx.wrap("twice")


def modules(lib: Any) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Modules of a library, with the shapes of their inputs."""
    nn, F = lib.nn, lib.nn.functional

    class MLP(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            return F.softmax(self.second(F.relu(self.first(x))), dim=-1)

    class CNN(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)
            )
            self.head = nn.Linear(4 * 3 * 3, 2)

        def forward(self, x: Any) -> Any:
            x = self.body(x)
            return self.head(lib.flatten(x, 1))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(2, 2, 3, padding=1, bias=False)
            self.conv2 = nn.Conv2d(2, 2, 3, padding=1, bias=False)
            self.norm = nn.GroupNorm(1, 2)
            self.scale = nn.Parameter(lib.ones(1))

        def forward(self, x: Any) -> Any:
            out = self.norm(self.conv1(x)).relu()
            out = self.conv2(out) * self.scale
            return (x + out).clamp(min=0.0)

    class Parts(nn.Module):
        def forward(self, x: Any, scale: float = 2.0) -> Any:
            a, b = x.chunk(2, dim=1)
            stacked = lib.cat([a, b * scale], dim=1)[:, 1:]
            return {"sum": stacked.sum(), "rest": (1.0 - stacked, x.shape[0], -a)}

    shapes = {MLP: (5, 4), CNN: (2, 1, 8, 8), Block: (1, 2, 5, 5), Parts: (3, 4)}
    return {kind.__name__: (kind, shape) for kind, shape in shapes.items()}


NAMES = tuple(modules(fb))


def described(graph: Any) -> list[tuple[str, Any, int, int]]:
    """Kind, target, numbers of arguments and of users, of every node."""
    found = []
    for node in graph.nodes:
        target = node.target
        name = target if isinstance(target, str) else target.__name__
        found.append((node.op, name, len(node.all_input_nodes), len(node.users)))
    return found


def same(a: Any, b: Any) -> bool:
    if isinstance(a, fb.Tensor):
        return fb.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def made(name: str) -> tuple[Any, Any, Any]:
    """A module, its trace and an input."""
    fb.manual_seed(0)
    kind, shape = modules(fb)[name]
    module = kind().eval()
    return module, fx.symbolic_trace(module), fb.randn(*shape)


@pytest.mark.parametrize("name", NAMES)
def test_graphs_are_those_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = (lib.fx.symbolic_trace(modules(lib)[name][0]()).graph for lib in (fb, torch))
    assert described(ours) == described(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_does_what_the_module_does(name: str) -> None:
    module, traced, x = made(name)
    expected = module(x)
    traced.graph.lint()
    assert same(traced(x), expected)
    assert same(copy.deepcopy(traced)(x), expected)
    assert same(fx.Interpreter(traced).run(x), expected)
    assert same(fx.Transformer(traced).transform()(x), expected)
    assert traced.state_dict().keys() == module.state_dict().keys()
    assert type(traced).__name__ == name


def test_a_trace_trains() -> None:
    module, traced, x = made("MLP")
    traced(x)[:, 0].sum().backward()
    assert module.first.weight.grad is traced.first.weight.grad
    assert module.first.weight.grad.abs().sum() > 0


def test_a_trace_is_pickled() -> None:
    fb.manual_seed(0)
    traced = fx.symbolic_trace(fb.nn.Sequential(fb.nn.Linear(2, 2), fb.nn.Tanh()))
    again = pickle.loads(pickle.dumps(traced))
    x = fb.randn(3, 2)
    assert fb.equal(again(x), traced(x))


def test_functions_are_traced() -> None:
    def f(x: Any, y: Any = 3, *, z: Any = 1) -> Any:
        return fb.add(x, y).pow(2) / z

    traced = fx.symbolic_trace(f)
    x = fb.arange(3.0)
    assert fb.equal(traced(x), f(x))
    assert fb.equal(traced(x, 1), f(x, 1))
    fixed = fx.symbolic_trace(
        lambda x, flag: x + 1 if flag else x - 1, concrete_args={"flag": True}
    )
    assert fb.equal(fixed(x), x + 1)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x + 1 if x.sum() > 0 else x,
        lambda x: [i for i in x],  # noqa: C416
        lambda x: len(x),
        lambda x: int(x),
        lambda x: fb.zeros(3)[: int(x.sum())],
    ],
)
def test_what_depends_on_values_is_refused(f: Any) -> None:
    with pytest.raises(fx.TraceError):
        fx.symbolic_trace(f)
    assert fb.relu(fb.ones(1)).item() == 1  # all is as before


def test_wrapped_functions_stay_calls() -> None:
    traced = fx.symbolic_trace(lambda x: twice(x) + math.sqrt(x.shape[0]))
    targets = [n.target for n in traced.graph.nodes if n.op == "call_function"]
    assert twice in targets
    assert math.sqrt in targets
    assert fb.equal(traced(fb.ones(4)), fb.full((4,), 4.0))
    with pytest.raises(NotImplementedError, match="top level"):
        fx.wrap("twice")
    with pytest.raises(RuntimeError, match="callable or string"):
        fx.wrap(3)


def test_operators_imported_by_name_are_seen() -> None:
    from flambeau import add, relu

    traced = fx.symbolic_trace(lambda x: relu(add(x, x)))
    assert [n.target for n in traced.graph.nodes if n.op == "call_function"] == [add, relu]


def test_tensors_become_attributes() -> None:
    constant = fb.arange(3.0)
    traced = fx.symbolic_trace(lambda x: x + constant * 2)
    assert fb.equal(traced(fb.ones(3)), fb.tensor([1.0, 3.0, 5.0]))
    assert [n.op for n in traced.graph.nodes].count("get_attr") == 1


def test_a_tracer_says_which_modules_are_calls() -> None:
    class Whole(fx.Tracer):
        def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
            return False

    net = fb.nn.Sequential(fb.nn.Linear(2, 3), fb.nn.ReLU())
    graph = Whole().trace(net)
    assert {n.op for n in graph.nodes} == {"placeholder", "get_attr", "call_function", "output"}
    x = fb.randn(4, 2)
    assert fb.equal(fx.GraphModule(net, graph)(x), net(x))


def test_the_code_is_python() -> None:
    _, traced, _ = made("MLP")
    lines = traced.code.splitlines()
    assert lines[0] == "def forward(self, x):"
    assert "self.first(x)" in lines[1]
    assert lines[-1].strip().startswith("return ")
    assert traced.code in str(traced)
    assert "%first" in str(traced.graph)
    assert "class MLP(nn.Module)" in traced.print_readable(print_output=False)


def test_operator_functions_are_targets() -> None:
    graph = fx.symbolic_trace(lambda x: 1 - x @ x).graph
    assert [n.target for n in graph.nodes][1:3] == [operator.matmul, operator.sub]
