"""Names that old programs call, and small ops beside them, against PyTorch."""

import numpy as np
import pytest

import flambeau as fb

torch = pytest.importorskip("torch")

EXPRESSIONS = [
    "x.clone().apply_(lambda v: v + 1)", "x.clone().map_(x, lambda a, b: a * b)",
    "x.clone().map2_(x, x[:1], lambda a, b, c: a + b * c)", "x.resize(3, 2)",
    "x.resize_as(m.ones(6))", "x[:1].slice_inverse(x, 0, 0, 1)", "x.grad_dtype == m.float32",
    "x.name", "x.is_distributed()", "m.is_distributed(x)", "x.is_xla", "x.is_ipu", "x.is_maia",
    "x.is_mtia", "x.is_vulkan", "x.const_data_ptr() == x.data_ptr()",
    "m.zeros(2, 3).module_load(x)", "m.zeros(2, 3).module_load(x, assign=True)",
    "m.vander(x[0])", "m.vander(m.tensor([1, 2, 3]), 2)", "m.vander(x[0], 5, increasing=True)",
    "m.vander(m.tensor([1, 2]), 0)", "m.vander(m.tensor([3, 2]), 1)",
    "m.conv_tbc(x.reshape(3, 2, 1), m.ones(2, 1, 4), m.arange(4.0), 1)",
    "m.native_channel_shuffle(m.arange(4.0).reshape(1, 4, 1, 1), 2)",
    "m.nn.functional.native_channel_shuffle(m.arange(4.0).reshape(1, 4, 1, 1), 2)",
    "m.view_as_real_copy(x.cfloat())", "m.view_as_complex_copy(x.reshape(3, 2))",
    "m.special.expit(x)", "m.special.digamma(x)",
    "m.sym_int(-3.7)", "m.sym_float(3)", "m.sym_max(2, 3.5)", "m.sym_min(2, 3.5)", "m.sym_not(0)",
    "m.sym_ite(True, 1, 2)", "m.sym_sqrt(4)", "m.sym_sum([1, 2, 3])",
]


@pytest.mark.filterwarnings("ignore:non-inplace resize")
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_values_are_torchs(expression):
    ours, theirs = (
        eval(expression, {"m": m, "x": m.arange(6.0).reshape(2, 3)}) for m in (fb, torch))
    if isinstance(ours, fb.Tensor):
        assert str(ours.dtype) == str(theirs.dtype).replace("torch", "flambeau")
        np.testing.assert_allclose(ours.tolist(), theirs.tolist(), rtol=1e-6)
    else:
        assert ours == theirs and type(ours) is type(theirs)


@pytest.mark.filterwarnings("ignore:non-inplace resize")
@pytest.mark.parametrize("expression", [
    "x.resize(2, 2)", "m.vander(x)", "m.vander(x[0], -1)", "x.requires_grad_().apply_(abs)",
    "m.conv_tbc(x, m.ones(2, 1, 4), m.ones(4))", "m.get_device_module('meta')",
])
def test_what_torch_refuses_is_refused(expression):
    for m in (fb, torch):
        with pytest.raises((RuntimeError, AssertionError)):
            eval(expression, {"m": m, "x": m.arange(6.0).reshape(2, 3)})


def test_groups_of_matrices():
    a, b, ends = fb.randn(6, 3), fb.randn(2, 3, 4), fb.tensor([2, 5], dtype=fb.int32)
    out = fb.nn.functional.grouped_mm(a, b, offs=ends)
    wanted = fb.cat([a[:2] @ b[0], a[2:5] @ b[1], fb.zeros(1, 4)])
    fb.testing.assert_close(out, wanted)
    out = fb.nn.functional.grouped_mm(b.mT, a.mT, offs=ends)
    fb.testing.assert_close(
        out, fb.cat([b[0].mT @ a[:2].T, b[1].mT @ a[2:5].T, fb.zeros(4, 1)], 1))
    out = fb.nn.functional.grouped_mm(a.mT, a, offs=ends, out_dtype=fb.float64)
    fb.testing.assert_close(out, fb.stack([a[:2].T @ a[:2], a[2:5].T @ a[2:5]]).double())
    fb.testing.assert_close(fb.nn.functional.grouped_mm(b, b.mT), b @ b.mT)


def test_moves_to_devices_without_a_backend_name_them():
    for kind in ("xpu", "ipu", "mtia"):
        with pytest.raises(RuntimeError, match=kind):
            getattr(fb.ones(1), kind)()


def test_the_module_of_a_device():
    assert fb.get_device_module() is fb.cpu
    assert fb.get_device_module("cpu").is_available()
