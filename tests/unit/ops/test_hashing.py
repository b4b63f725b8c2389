import pytest

import flambeau as fb

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("expression", [
    "m.hash_tensor(x)", "m.hash_tensor(x, 1)", "m.hash_tensor(x, 0, keepdim=True)",
    "m.hash_tensor(x, (0, 1))", "x.double().hash_tensor()", "m.hash_tensor(x.half())",
    "m.hash_tensor(x.bfloat16() + 0.3, -1)", "m.hash_tensor(x.long())", "m.hash_tensor(x > 2)",
    "m.hash_tensor(x.to(m.int8) - 3)", "m.hash_tensor(m.tensor(3.5))",
    "m.hash_tensor(-x[:, :1] * 0)", "m.hash_tensor(m.ones(0, 3), 1)", "m.hash_tensor(x.t(), 0)",
])
def test_hashes_are_torchs(expression):
    ours, theirs = (
        eval(expression, {"m": m, "x": m.arange(15.0).reshape(3, 5)}) for m in (fb, torch))
    assert ours.dtype is fb.uint64
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("expression", [
    "m.hash_tensor(m.ones(2), mode=1)", "m.hash_tensor(m.ones(0))",
    "m.hash_tensor(m.ones(2).cfloat())",
    "m.hash_tensor(m.ones(3, 0), 1)", "m.hash_tensor(m.ones(3), 1)",
])
def test_what_has_no_hash_is_refused(expression):
    for m in (fb, torch):
        with pytest.raises((RuntimeError, IndexError)):
            eval(expression, {"m": m})
