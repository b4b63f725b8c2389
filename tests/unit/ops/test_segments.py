import numpy as np
import pytest

import flambeau as fb

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("reduce", ["sum", "mean", "prod", "max", "min", "amax"])
@pytest.mark.parametrize("initial", [None, 1.5])
@pytest.mark.parametrize("how", ["lengths", "offsets", "axis"])
def test_segments_and_their_gradients_are_torchs(reduce, initial, how):
    found = []
    for m in (fb, torch):
        x = ((m.arange(12.0) * 7 % 5).reshape(4, 3) + 1).requires_grad_()
        runs = {
            "lengths": {"lengths": m.tensor([1, 0, 3])},
            "offsets": {"offsets": m.tensor([0, 3, 4])},
            "axis": {"lengths": m.tensor([[1, 2], [2, 1], [3, 0], [0, 3]]), "axis": 1}}[how]
        out = m.segment_reduce(x, reduce, **runs, initial=initial)
        grad = None
        if bool(m.isfinite(out).all()) and not (reduce == "prod" and initial):
            (out * m.arange(float(out.numel())).reshape(out.shape)).sum().backward()
            grad = x.grad.tolist()
        found.append((out.tolist(), grad))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-6)
    assert (found[0][1] is None) is (found[1][1] is None)
    if found[0][1] is not None:
        np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-6)


@pytest.mark.parametrize(("arguments", "kind"), [
    ({"lengths": [1, 2]}, RuntimeError), ({"lengths": [5, -1]}, RuntimeError), ({}, RuntimeError),
    ({"lengths": [[4]]}, RuntimeError), ({"lengths": [4.0]}, NotImplementedError),
])
def test_bad_runs_are_refused(arguments, kind):
    for m in (fb, torch):
        given = {name: m.tensor(value) for name, value in arguments.items()}
        with pytest.raises(kind):
            m.segment_reduce(m.ones(4, 2), "sum", **given)
    assert fb.segment_reduce(
        fb.ones(4), "sum", lengths=fb.tensor([1, 2]), unsafe=True).tolist() == [1, 2]
