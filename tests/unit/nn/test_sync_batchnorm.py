"""SyncBatchNorm in one process."""

from __future__ import annotations

import pytest

import flambeau as fb
from flambeau import nn


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (2, 3, 4, 4), (2, 3, 2, 2, 2)])
def test_one_process_is_batch_normalisation(shape):
    plain = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
    results = []
    for cls in (plain[len(shape)], nn.SyncBatchNorm):
        fb.manual_seed(1)
        m, x = cls(3, momentum=0.3), fb.randn(*shape).requires_grad_()
        out = m(x)
        (out**3).sum().backward()
        m.eval()
        results.append([out, x.grad, m.weight.grad, m.running_mean, m.running_var, m(x)])
    for a, b in zip(*results, strict=True):
        assert (a == b).all()


def test_conversion_takes_everything_over():
    m = nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm1d(2, affine=False)), nn.ReLU())
    m.eval()
    weight = m[0].weight
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(m, "group")
    assert [type(x).__name__ for x in (converted[0], converted[1][0], converted[2])] == [
        "SyncBatchNorm", "SyncBatchNorm", "ReLU"]
    assert converted[0].weight is weight and converted[1][0].weight is None
    assert not converted[0].training and converted[0].process_group == "group"
    again = nn.SyncBatchNorm.convert_sync_batchnorm(converted)
    assert again[0] is converted[0]
    assert "SyncBatchNorm(3, eps=1e-05" in repr(converted)
    with pytest.raises(ValueError, match="at least 2D input"):
        nn.SyncBatchNorm(3)(fb.ones(3))
