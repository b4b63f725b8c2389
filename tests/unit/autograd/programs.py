"""Small programs written once against PyTorch's API and run on both libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Program = Callable[[Any], list[Any]]
PROGRAMS: dict[str, Program] = {}


def program(function: Program) -> Program:
    """Register a program: it takes a torch-like module and returns tensors or values."""
    PROGRAMS[function.__name__] = function
    return function


def leaf(T: Any, *values: float, shape: tuple[int, ...] | None = None) -> Any:
    x = T.tensor(list(values), dtype=T.float64)
    return (x.reshape(shape) if shape else x).requires_grad_()


@program
def broadcasting(T: Any) -> list[Any]:
    a = leaf(T, 1, 2, 3, 4, 5, 6, shape=(2, 3)).detach().requires_grad_()
    b = leaf(T, 1, 2, 3)
    c = leaf(T, 2)
    (a * b + c / b - a).sum().backward()
    return [a.grad, b.grad, c.grad]


@program
def mixed_dtypes(T: Any) -> list[Any]:
    a = T.tensor([1.0, 2.0], dtype=T.float32, requires_grad=True)
    b = leaf(T, 3, 4)
    (a * b).sum().backward()
    return [a.grad, b.grad]


@program
def accumulates_over_two_calls(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    (a * a).sum().backward()
    (a * 3).sum().backward()
    return [a.grad]


@program
def shared_gradient_is_not_aliased(T: Any) -> list[Any]:
    a, b = leaf(T, 1, 2), leaf(T, 3, 4)
    (a + b).sum().backward()
    a.grad.mul_(10)
    return [a.grad, b.grad]


@program
def same_tensor_twice(T: Any) -> list[Any]:
    a = leaf(T, 2, 3)
    y = a * a
    (y * y + y).sum().backward()
    return [a.grad]


@program
def diamond(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    b, c = a.exp(), a.tanh()
    d = b * c
    (d + b).sum().backward()
    return [a.grad]


@program
def retain_graph(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    y = (a * a * a).sum()
    y.backward(retain_graph=True)
    y.backward()
    return [a.grad]


@program
def second_and_third_order(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    y = (a**4).sum()
    (g1,) = T.autograd.grad(y, a, create_graph=True)
    (g2,) = T.autograd.grad(g1.sum(), a, create_graph=True)
    (g3,) = T.autograd.grad(g2.sum(), a)
    return [g1.detach(), g2.detach(), g3]


@program
def grad_through_saved_output(T: Any) -> list[Any]:
    a = leaf(T, 0.5, 1)
    y = a.exp().tanh()
    (g,) = T.autograd.grad(y.sum(), a, create_graph=True)
    (h,) = T.autograd.grad((g * g).sum(), a)
    return [h]


@program
def grad_of_intermediate(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    b = a * 2
    c = b * b
    return list(T.autograd.grad(c.sum(), [b, a]))


@program
def unused_input(T: Any) -> list[Any]:
    a, b = leaf(T, 1), leaf(T, 2)
    ga, gb = T.autograd.grad(a * 2, [a, b], allow_unused=True)
    return [ga, gb is None]


@program
def backward_inputs(T: Any) -> list[Any]:
    a, b = leaf(T, 1), leaf(T, 2)
    (a * b).sum().backward(inputs=[a])
    return [a.grad, b.grad is None]


@program
def vector_gradient(T: Any) -> list[Any]:
    a = leaf(T, 1, 2, 3)
    (a * a).backward(T.tensor([1.0, 10.0, 100.0], dtype=T.float64))
    return [a.grad]


@program
def hooks_change_gradients(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    seen = []
    handle = a.register_hook(lambda g: g * 2)
    b = a * 3
    b.register_hook(lambda g: seen.append(g.clone()))
    b.register_hook(lambda g: g + 1)
    b.sum().backward()
    handle.remove()
    (a * 1).sum().backward()
    return [a.grad, seen[0]]


@program
def retain_grad(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    b = a * 3
    b.retain_grad()
    (b * b).sum().backward()
    return [a.grad, b.grad, b.retains_grad, a.retains_grad]


@program
def post_accumulate_hook(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    seen = []
    a.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.clone()))
    (a * 3).sum().backward()
    return seen


@program
def no_grad_and_detach(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    with T.no_grad():
        b = a * 2
        with T.enable_grad():
            c = a * 3
    d = a.detach() * 4
    return [b.requires_grad, c.requires_grad, d.requires_grad, b.is_leaf, c.is_leaf]


@program
def inplace_on_intermediate(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    b = a * 2
    b.add_(a)
    b.mul_(3)
    b.sum().backward()
    return [b.detach(), a.grad]


@program
def inplace_mul_saves_what_it_overwrites(T: Any) -> list[Any]:
    a, w = leaf(T, 1, 2), leaf(T, 3, 4)
    b = a * 1
    b.mul_(w)
    b.sum().backward()
    return [a.grad, w.grad]


@program
def inplace_exp(T: Any) -> list[Any]:
    a = leaf(T, 0.5, 1)
    b = a * 1
    b.exp_()
    b.sum().backward()
    return [a.grad]


@program
def inplace_on_view_changes_base(T: Any) -> list[Any]:
    a = leaf(T, 1, 2, 3, 4)
    b = a * 2
    v = b[1:3]
    v.mul_(10)
    b.sum().backward()
    return [b.detach(), a.grad, v.grad_fn is not None]


@program
def inplace_on_base_seen_by_view(T: Any) -> list[Any]:
    a = leaf(T, 1, 2, 3, 4)
    b = a * 1
    v = b[1:3]
    b.mul_(5)
    (v * v).sum().backward()
    return [v.detach(), a.grad]


@program
def view_that_is_a_leaf(T: Any) -> list[Any]:
    row = T.ones(2, 3, dtype=T.float64)[0].requires_grad_()
    (row[1] * 2 + row.unsqueeze(0)[0, 2]).backward()
    return [row.grad]


@program
def inplace_chain_of_views(T: Any) -> list[Any]:
    a = leaf(T, 1, 2, 3, 4, 5, 6, shape=(2, 3)).detach().requires_grad_()
    b = a * 1
    b.t()[1].mul_(7)
    b[0, 1:].add_(b[1, 1:] * 2)
    (b * b).sum().backward()
    return [b.detach(), a.grad]


@program
def setitem_records(T: Any) -> list[Any]:
    a, w = leaf(T, 1, 2, 3), leaf(T, 5)
    b = a * 2
    b[1] = w[0] * 3
    b[2:] = 7
    (b * b).sum().backward()
    return [b.detach(), a.grad, w.grad]


@program
def write_into_fresh_buffer(T: Any) -> list[Any]:
    w = leaf(T, 1, 2, 3)
    out = T.zeros(2, 3, dtype=T.float64)
    out[0] = w * 2
    row = out[1]
    row.copy_(w * w)
    (out * out).sum().backward()
    return [out.detach(), w.grad, out.requires_grad, row.requires_grad]


@program
def fill_and_zero_cut_history(T: Any) -> list[Any]:
    a = leaf(T, 1, 2, 3)
    b = a * 2
    b[0].zero_()
    b[1:2].fill_(4)
    b.sum().backward()
    return [b.detach(), a.grad]


@program
def versions_are_shared_by_views(T: Any) -> list[Any]:
    a = T.zeros(4)
    v, d = a[1:], a.detach()
    a.add_(1)
    v.mul_(2)
    return [a._version, v._version, d._version, a]


@program
def double_backward_through_inplace(T: Any) -> list[Any]:
    a = leaf(T, 1, 2, 3)
    b = a * a
    b[0:2].mul_(a[1:])
    (g,) = T.autograd.grad((b * b).sum(), a, create_graph=True)
    (h,) = T.autograd.grad(g.sum(), a)
    return [g.detach(), h]


@program
def expand_and_reduce(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    y = a.unsqueeze(1).expand(2, 3).transpose(0, 1)
    (y * y).sum(0).prod().backward()
    return [a.grad]


@program
def strided_windows(T: Any) -> list[Any]:
    a = leaf(T, 1, 2, 3, 4, 5)
    y = a.unfold(0, 3, 1) * T.tensor([1.0, 2.0, 3.0], dtype=T.float64)
    y.sum().backward()
    (y2,) = [a.as_strided((3, 2), (1, 2), 0) ** 2]
    y2.sum().backward()
    return [a.grad]


@program
def complex_convention(T: Any) -> list[Any]:
    z = T.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    (z * z.conj()).real.sum().backward()
    first = z.grad.clone()
    z.grad = None
    (z.exp() * (2 + 1j)).abs().sum().backward()
    return [first, z.grad]


@program
def leaf_and_grad_fn_facts(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    b = a * 2
    c = b.detach()
    return [a.is_leaf, b.is_leaf, c.is_leaf, a.grad_fn is None, b.grad_fn is None,
            a[0].is_leaf, T.ones(2).requires_grad]


@program
def set_grad_enabled_forms(T: Any) -> list[Any]:
    a, results = leaf(T, 1), []
    with T.set_grad_enabled(False):
        results.append((a * 2).requires_grad)
    T.set_grad_enabled(False)
    results.append((a * 2).requires_grad)
    T.set_grad_enabled(True)

    @T.no_grad()
    def decorated() -> bool:
        return (a * 2).requires_grad

    results += [decorated(), (a * 2).requires_grad, T.is_grad_enabled()]
    return results


@program
def multiple_outputs(T: Any) -> list[Any]:
    a = leaf(T, 3, 1, 2)
    values, _ = a.sort()
    first, rest = a.split([1, 2])
    (values * T.tensor([1.0, 2.0, 3.0], dtype=T.float64)).sum().backward()
    (first.sum() * rest.prod()).backward()
    return [a.grad]


@program
def data_is_not_tracked(T: Any) -> list[Any]:
    a = leaf(T, 1, 2)
    y = a * a
    a.data.mul_(10)
    y.sum().backward()
    return [a.detach(), a.grad]
