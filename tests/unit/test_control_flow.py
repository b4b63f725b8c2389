import pytest

import flambeau as fb


def test_cond_runs_one_branch_and_gradients_flow_through_it():
    x = fb.tensor([2.0], requires_grad=True)
    for pred, slope in ((True, 3.0), (fb.tensor(False), -1.0), (fb.tensor([1]), 3.0)):
        y = fb.cond(pred, lambda a: a * 3, lambda a: -a, (x,))
        assert fb.autograd.grad(y, x)[0].tolist() == [slope]


def test_while_loop_carries_values():
    i, total = fb.while_loop(
        lambda i, _: i < 4, lambda i, s: (i + 1, s * 2), (fb.tensor(0), fb.ones(2)))
    assert i.item() == 4 and total.tolist() == [16, 16]
    assert fb.while_loop(lambda n: n > 3, lambda n: n - 1, (fb.tensor(2),))[0].item() == 2


@pytest.mark.parametrize("call", [
    lambda: fb.cond(fb.ones(2), abs, abs, (1,)), lambda: fb.cond("yes", abs, abs, (1,)),
    lambda: fb.cond(True, abs, None, (1,)), lambda: fb.cond(True, abs, abs, 1),
    lambda: fb.while_loop(lambda x: True, lambda x: x[:1], (fb.ones(2),)),
    lambda: fb.while_loop(lambda x: x, abs, fb.ones(2)),
])
def test_bad_conditions_and_bodies_are_refused(call):
    with pytest.raises(RuntimeError, match="expected"):
        call()
