"""Pooling to a given size, unpooling, and windows at random, against PyTorch."""

import numpy as np
import pytest

import flambeau
from flambeau.registry import OPS


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_adaptive_pool(parity, rand, n, size, kind):
    parity(f"nn.functional.adaptive_{kind}_pool{n}d", rand(2, 3, *(8, 7, 6)[:n]), size)


@pytest.mark.parametrize("size", [(4, 2), (3, None), (1, 1)])
def test_sizes_per_dimension_unbatched_and_indices(parity, rand, size):
    parity("nn.functional.adaptive_avg_pool2d", rand(3, 8, 7), size)
    parity("nn.functional.adaptive_max_pool2d", rand(3, 8, 7), size, return_indices=True)
    parity("nn.functional.adaptive_max_pool2d_with_indices", rand(2, 3, 8, 7), size)
    parity("nn.functional.adaptive_avg_pool2d", rand(0, 3, 8, 7), size)


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize(("shape", "size", "message"), [
    ((8,), 2, "Expected 3D or 4D"), ((2, 3, 4, 4), (2, 2, 2), "output_size must be 2"),
    ((2, 3, 4, 4), -1, "greater than or equal to 0"), ((2, 3, 0, 4), 2, "being empty")])
def test_refusals(kind, shape, size, message):
    with pytest.raises(RuntimeError, match=message):
        OPS[f"adaptive_{kind}_pool2d"].function(flambeau.ones(*shape), size)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("by_ratio", [False, True])
def test_fractional_pool(parity, rand, n, by_ratio):
    wanted = {"output_ratio": (0.5, 0.6, 0.4)[:n]} if by_ratio else {"output_size": 3}
    places = np.random.default_rng(1).random((2, 3, n)).astype(np.float32)
    places.setflags(write=False)  # no gradient
    parity(f"nn.functional.fractional_max_pool{n}d_with_indices", rand(2, 3, *(9, 8, 7)[:n]), 2,
           _random_samples=places, **wanted)


def test_fractional_pool_draws_its_own_windows():
    x = flambeau.arange(64, dtype=flambeau.float32).reshape(1, 1, 8, 8)
    out = OPS["fractional_max_pool2d"].function(x, 2, 4)
    assert out.shape == (1, 1, 4, 4)
    assert out[0, 0, -1, -1].item() == 63  # the last window is flush with the end


@pytest.mark.parametrize("n", [1, 2, 3])
def test_unpool_undoes_pool(parity, rand, n):
    torch = pytest.importorskip("torch")
    pool = getattr(torch.nn.functional, f"max_pool{n}d")
    x = torch.from_numpy(rand(2, 3, *(6, 4, 4)[:n]))
    values, where = pool(x, 2, return_indices=True)
    parity(f"nn.functional.max_unpool{n}d", values.numpy(), where.numpy(), 2)
    parity(f"nn.functional.max_unpool{n}d", values[0].numpy(), where[0].numpy(), 2)
    parity(f"nn.functional.max_unpool{n}d", values.numpy(), where.numpy(), 2,
           output_size=[s * 2 + 1 for s in values.shape[2:]])


def test_unpool_refuses_indices_outside():
    unpool = OPS["max_unpool2d"].function
    values, where = flambeau.ones(1, 1, 2, 2), flambeau.full((1, 1, 2, 2), 16)
    with pytest.raises(RuntimeError, match=r"invalid max index: 16 .* 4x4"):
        unpool(values, where, 2)
    with pytest.raises(ValueError, match="dim 0 must be between 2 and 6"):
        unpool(values, where, 2, output_size=(7, 4))
    with pytest.raises(RuntimeError, match="int64"):
        unpool(values, values, 2)
