"""Anomaly mode."""

import pytest

import flambeau as fb

pytestmark = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")


class Broken(fb.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        raise ValueError("broken")


def root_of_negative(x):
    return fb.sqrt(x)


def test_nan_names_the_function_and_the_line():
    x = fb.tensor([-1.0], requires_grad=True)
    with fb.autograd.detect_anomaly():
        y = root_of_negative(x).sum()
        with pytest.warns(UserWarning, match="root_of_negative"), pytest.raises(
                RuntimeError, match="'SqrtBackward0' returned nan values in its 0th output"):
            y.backward()
    root_of_negative(x).sum().backward()
    assert x.grad.isnan().all()


def test_errors_name_the_line():
    x = fb.ones(2, requires_grad=True)
    with fb.autograd.detect_anomaly(check_nan=False):
        y = Broken.apply(x * 2).sum()
        with pytest.warns(UserWarning, match="Error detected in Broken"), pytest.raises(
                ValueError, match="broken"):
            y.backward()


def test_it_is_set_and_unset():
    with fb.autograd.set_detect_anomaly(True, check_nan=False):
        x = fb.tensor([-1.0], requires_grad=True)
        root_of_negative(x).sum().backward()
    fb.autograd.set_detect_anomaly(True)
    try:
        with pytest.warns(UserWarning, match="Sqrt"), pytest.raises(
                RuntimeError, match="nan values"):
            root_of_negative(x).sum().backward()
    finally:
        fb.autograd.set_detect_anomaly(False)
    root_of_negative(x).sum().backward()
    assert not fb.autograd.anomaly.is_enabled()
