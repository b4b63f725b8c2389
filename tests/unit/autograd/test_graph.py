"""Edges of the graph, hooks on several tensors, and drawings."""

from __future__ import annotations

import re
import sys

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.autograd import graph


def test_edges_stand_for_tensors():
    x = fb.arange(3.0).requires_grad_()
    y = x * 2
    z = (y * y).sum()
    edge = graph.get_gradient_edge(y)
    assert edge.node is y.grad_fn and edge.output_nr == 0
    by_edge = fb.autograd.grad(z, [edge, x], retain_graph=True)
    by_tensor = fb.autograd.grad(z, [y, x], retain_graph=True)
    assert [g.tolist() for g in by_edge] == [g.tolist() for g in by_tensor]
    (g,) = fb.autograd.grad(edge, x, grad_outputs=fb.ones(3), retain_graph=True)
    assert g.tolist() == [2.0, 2.0, 2.0]
    fb.autograd.backward(graph.get_gradient_edge(z), inputs=graph.get_gradient_edge(x))
    assert x.grad.tolist() == [0.0, 8.0, 16.0]
    with pytest.raises(RuntimeError, match="does not require gradients"):
        graph.get_gradient_edge(fb.ones(1))


def test_edges_of_outputs_and_leaves():
    x = fb.tensor([[3.0, 1.0]], requires_grad=True)
    values, _ = x.sort(1)
    leaf = graph.get_gradient_edge(x)
    assert leaf.node.variable is x
    edge = graph.get_gradient_edge(values)
    assert edge.node.name() == "SortStableBackward0" and edge.output_nr == 0
    by_edge, by_leaf = fb.autograd.grad(values.square().sum(), [edge, leaf])
    assert by_edge.tolist() == [[2.0, 6.0]] and by_leaf.tolist() == [[6.0, 2.0]]


def test_increment_version():
    x = fb.ones(2, requires_grad=True)
    y = x * 1
    z = y * y
    graph.increment_version([y])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


# ---- hooks on several tensors --------------------------------------------------------------
def test_all_waits_for_every_gradient_of_a_pass():
    x, y, z = (fb.ones(2, requires_grad=True) for _ in range(3))
    seen = []
    handle = graph.register_multi_grad_hook((x, y, z), seen.append)
    (x * y).sum().backward()
    assert [None if g is None else g.tolist() for g in seen[0]] == [[1.0, 1.0], [1.0, 1.0], None]
    (x * y * z).sum().backward()
    assert len(seen) == 2 and all(g is not None for g in seen[1])
    (x * y).sum().backward(inputs=[y])
    assert [g is None for g in seen[2]] == [True, False, True]
    handle.remove()
    (x * y).sum().backward()
    assert len(seen) == 3


def test_any_passes_the_first_gradient_on():
    x, y = (fb.ones(2, requires_grad=True) for _ in range(2))
    middle = x * 3
    seen = []
    graph.register_multi_grad_hook((middle, x, y), seen.append, mode="any")
    out = (middle * y).sum()
    out.backward(retain_graph=True)
    out.backward()
    assert len(seen) == 2
    with pytest.raises(ValueError, match=r"one of \('all', 'any'\) but got some"):
        graph.register_multi_grad_hook((x,), seen.append, mode="some")


# ---- drawings ------------------------------------------------------------------------------
def parsed(text):
    """Labels by name, and arrows, of DOT text."""
    lines = text.strip().split("\n")
    assert lines[0] == "digraph autograd {" and lines[-1] == "}"
    labels = {}
    arrows = []
    for line in lines[2:-1]:
        box = re.fullmatch(r'  (n\d+) \[label="((?:[^"\\]|\\.)*)".*\];', line)
        arrow = re.fullmatch(r"  (n\d+) -> (n\d+)( \[.*\])?;", line)
        assert box or arrow, line
        if box:
            assert box[1] not in labels
            labels[box[1]] = box[2].replace('\\"', '"').replace("\\n", "\n")
        else:
            arrows.append((arrow[1], arrow[2]))
    assert all(a in labels and b in labels for a, b in arrows)
    return labels, arrows


def test_the_drawing_is_the_graph():
    m = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    labels, arrows = parsed(graph.to_dot(m(fb.ones(1, 3)), m))
    named = {labels[a]: labels[b] for a, b in arrows}
    assert named == {
        "0.weight\nfloat32 [2, 3]": "LinearBackward0", "0.bias\nfloat32 [2]": "LinearBackward0",
        "LinearBackward0": "TanhBackward0", "TanhBackward0": "result\nfloat32 [1, 2]"}


def test_shared_parts_are_drawn_once():
    x = fb.ones(2, requires_grad=True)
    y = x * 2
    labels, arrows = parsed(graph.to_dot([(y * y).sum(), y.exp()], {'say "x"': x}))
    assert sorted(labels.values()).count("MulBackward0") == 2
    assert len([v for v in labels.values() if v.startswith('say "x"')]) == 1
    doubled = [pair for pair in set(arrows) if arrows.count(pair) == 2]
    assert [labels[a] + labels[b] for a, b in doubled] == ["MulBackward0MulBackward0"]
    assert len(labels) == 7 and len(arrows) == 7


def test_saved_tensors_and_outputs():
    x = fb.ones(2, 2, requires_grad=True)
    labels, _ = parsed(graph.to_dot(x.exp().sum(), show_saved=True))
    assert "saved out\nfloat32 [2, 2]" in labels.values()
    labels, _ = parsed(graph.to_dot(x.sort(0)[0]))
    assert "SortStableBackward0" in labels.values()
    with pytest.raises(ValueError, match="tensor 1 does not require a gradient"):
        graph.to_dot([x, fb.ones(1)])


def test_a_long_chain_is_drawn():
    x = fb.ones(1, requires_grad=True)
    for _ in range(3000):
        x = x + 1
    assert len(parsed(graph.to_dot(x))[0]) == 3002


def test_files(tmp_path, monkeypatch):
    x = fb.ones(2, requires_grad=True)
    path = graph.draw(x * 2, tmp_path / "graph.dot")
    assert parsed(path.read_text())[0]
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match=r'pip install "flambeau\[graph\]"'):
        graph.draw(x * 2, tmp_path / "graph.svg")
