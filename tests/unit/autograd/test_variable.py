import pytest

import flambeau as fb
from flambeau.autograd import Variable


def test_a_variable_is_a_tensor_without_history():
    x = fb.ones(2, requires_grad=True)
    y = Variable(x * 2, requires_grad=True)
    assert y.is_leaf
    assert y.requires_grad
    assert not Variable(x).requires_grad
    assert isinstance(x, Variable)
    assert issubclass(fb.nn.Parameter, Variable)
    assert Variable(x).data_ptr() == x.data_ptr()
    with pytest.raises(TypeError, match="has to be a tensor, but got int"):
        Variable(3)
