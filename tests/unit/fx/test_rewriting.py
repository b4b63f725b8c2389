"""Graphs that are built, changed, and replaced in parts."""

from __future__ import annotations

import operator
from typing import Any

import pytest

import flambeau as fb
from flambeau import fx


def test_a_graph_is_built_by_hand() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    weight = graph.get_attr("inner.weight")
    product = graph.call_function(fb.mul, (x, weight))
    total = graph.call_method("sum", (product,), {"dim": 0})
    graph.output((total, {"x": x}))
    root = {"inner.weight": fb.nn.Parameter(fb.tensor([1.0, 2.0]))}
    module = fx.GraphModule(root, graph, "Made")
    result, rest = module(fb.ones(3, 2))
    assert result.tolist() == [3.0, 6.0]
    assert rest["x"].shape == (3, 2)
    assert [n for n, _ in module.named_parameters()] == ["inner.weight"]
    assert graph.output_node().op == "output"
    assert graph.find_nodes(op="call_function", target=fb.mul) == [product]
    with pytest.raises(RuntimeError, match=r"inner\.weight that is not in root"):
        fx.GraphModule({}, graph)


def test_nodes_know_their_users() -> None:
    graph = fx.symbolic_trace(lambda x, y: (x + y) * x).graph
    x, y, total, product, output = graph.nodes
    assert list(x.users) == [total, product]
    assert product.all_input_nodes == [total, x]
    assert (total.prev, total.next) == (y, product)
    product.replace_input_with(x, y)
    assert list(x.users) == [total]
    assert product.args == (total, y)
    total.update_arg(1, 3)
    assert list(y.users) == [product]
    output.update_kwarg("k", x)
    assert output in x.users


def test_a_function_is_exchanged() -> None:
    traced = fx.symbolic_trace(lambda x: fb.relu(x) + 1)
    for node in traced.graph.nodes:
        if node.target is fb.relu:
            with traced.graph.inserting_after(node):
                new = traced.graph.call_function(fb.neg, (node.args[0],))
            node.replace_all_uses_with(new)
            traced.graph.erase_node(node)
    traced.graph.lint()
    traced.recompile()
    assert traced(fb.tensor([-1.0, 2.0])).tolist() == [2.0, -1.0]


def test_places() -> None:
    graph = fx.Graph()
    b = graph.placeholder("b")
    with graph.inserting_before(b):
        a = graph.placeholder("a")
    with graph.inserting_after(a):
        m, n = graph.placeholder("m"), graph.placeholder("n")
    assert graph.nodes == [a, m, n, b]
    b.prepend(a)
    m.append(b)
    assert graph.nodes == [m, b, n, a]


def test_what_is_used_is_not_erased() -> None:
    graph = fx.symbolic_trace(lambda x: x + 1).graph
    with pytest.raises(RuntimeError, match="still had 1 users"):
        graph.erase_node(graph.nodes[0])


def test_what_nothing_uses_is_taken_out() -> None:
    def f(x: Any) -> Any:
        _ = x * 3
        x.add_(1)
        print(x)
        return x + 1

    traced = fx.symbolic_trace(f)
    traced.graph.call_function(fx.has_side_effect(_note), (traced.graph.nodes[0],))
    before = len(traced.graph.nodes)
    assert traced.graph.eliminate_dead_code()
    assert len(traced.graph.nodes) == before - 1
    assert not traced.graph.eliminate_dead_code()
    targets = [n.target for n in traced.graph.nodes]
    assert operator.mul not in targets
    assert "add_" in targets
    assert _note in targets


def _note(x: Any) -> None: ...


def test_a_wrong_order_is_found() -> None:
    graph = fx.symbolic_trace(lambda x: (x + 1) * 2).graph
    _, total, product, _ = graph.nodes
    product.append(total)
    with pytest.raises(RuntimeError, match="used before it has been defined"):
        graph.lint()


def test_map_arg_keeps_containers() -> None:
    node = fx.Graph().placeholder("x")
    mapped = fx.map_arg((node, [node, 1], {"k": slice(node, None)}), lambda n: n.name)
    assert mapped == ("x", ["x", 1], {"k": slice("x", None)})


PATTERNS: dict[str, tuple[Any, Any, Any]] = {
    "once": (lambda t, x: t.relu(x + x) - 1, lambda t, x: x + x, lambda t, x: x * 2),
    "twice": (lambda t, x: t.relu(t.relu(x)), lambda t, x: t.relu(x), lambda t, x: t.sigmoid(x)),
    "two inputs": (
        lambda t, x: t.cat([x * x, x + 1]), lambda t, a, b: t.cat([a, b]),
        lambda t, a, b: t.stack([b, a]),
    ),
    "used elsewhere": (
        lambda t, x: (lambda y: t.relu(y) + y)(x * 3), lambda t, x: t.relu(x * 3),
        lambda t, x: x,
    ),
    "a constant differs": (lambda t, x: x + 2, lambda t, x: x + 1, lambda t, x: x),
}  # fmt: skip


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_are_replaced_as_by_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    results = []
    for lib in (fb, torch):
        body, pattern, other = PATTERNS[name]
        count = pattern.__code__.co_argcount - 1
        if count == 1:
            parts = [eval("lambda x: f(t, x)", {"f": f, "t": lib}) for f in (pattern, other)]
        else:
            parts = [eval("lambda a, b: f(t, a, b)", {"f": f, "t": lib}) for f in (pattern, other)]
        traced = lib.fx.symbolic_trace(eval("lambda x: f(t, x)", {"f": body, "t": lib}))
        matches = lib.fx.replace_pattern(traced, *parts)
        results.append((len(matches), traced(lib.tensor([-1.0, 0.5])).flatten().tolist()))
    assert results[0][0] == results[1][0]
    assert results[0][1] == pytest.approx(results[1][1])


def test_patterns_of_other_numbers_of_inputs_are_refused() -> None:
    traced = fx.symbolic_trace(lambda x: x + 1)
    with pytest.raises(RuntimeError, match="has 1 inputs and the replacement 2"):
        fx.replace_pattern(traced, lambda x: x + 1, lambda x, y: x + y)


def test_a_transformer_exchanges_calls() -> None:
    class Negated(fx.Transformer):
        def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
            return super().call_function(fb.neg if target is fb.relu else target, args, kwargs)

    traced = fx.symbolic_trace(lambda x: fb.relu(x) * 2)
    assert Negated(traced).transform()(fb.ones(1)).item() == -2
    assert traced(fb.ones(1)).item() == 2


def test_an_interpreter_sees_every_node() -> None:
    class Counted(fx.Interpreter):
        seen = 0

        def run_node(self, n: fx.Node) -> Any:
            self.seen += 1
            return super().run_node(n)

    traced = fx.symbolic_trace(lambda x: fb.relu(x) * 2)
    counted = Counted(traced)
    assert counted.run(fb.ones(1)).item() == 2
    assert counted.seen == len(traced.graph.nodes)
    x, relu = traced.graph.nodes[:2]
    assert counted.run(initial_env={x: None, relu: fb.ones(1) * 5}).item() == 10
    with pytest.raises(RuntimeError, match="Expected positional argument for parameter x"):
        counted.run()
