"""Dropout of blocks and feature pyramids."""

import pytest

import flambeau as fb
from flambeau.nn import functional as F
from flambeau.vision import ops
from flambeau.vision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7


@pytest.mark.parametrize("block", [3, 4])
def test_dropped_pixels_form_blocks(block):
    fb.manual_seed(0)
    image = fb.ones(4, 2, 16, 20)
    out = ops.drop_block2d(image, 0.2, block)
    dropped = (out == 0).float()
    assert 0 < dropped.mean() < 0.5
    # Opening by the block leaves a union of blocks as it is.
    inside = -F.max_pool2d(-dropped, block, stride=1)
    opened = F.max_pool2d(F.pad(inside, [block - 1] * 4), block, stride=1)
    assert fb.equal(opened, dropped)
    assert out.mean().item() == pytest.approx(1, abs=1e-5)


def test_dropout_of_blocks_in_its_modes():
    volume = fb.ones(2, 3, 6, 6, 6)
    assert ops.drop_block3d(volume, 0.5, 3, training=False) is volume
    assert ops.DropBlock3d(0.5, 3).eval()(volume) is volume
    out = ops.DropBlock3d(0.5, 3, inplace=True)(volume)
    assert out is volume
    assert (volume == 0).any()
    assert repr(ops.DropBlock2d(0.5, 3)) == "DropBlock2d(p=0.5, block_size=3, inplace=False)"
    with pytest.raises(ValueError, match="between 0 and 1"):
        ops.drop_block2d(fb.ones(1, 1, 4, 4), 1.5, 3)
    with pytest.raises(ValueError, match="4 dimensional"):
        ops.drop_block2d(volume, 0.5, 3)


def test_a_feature_pyramid():
    pyramid = ops.FeaturePyramidNetwork([2, 3], 4, LastLevelMaxPool())
    assert list(pyramid.state_dict()) == [
        f"{part}_blocks.{i}.0.{name}"
        for part in ("inner", "layer")
        for i in range(2)
        for name in ("weight", "bias")
    ]
    maps = {"fine": fb.rand(1, 2, 8, 8), "coarse": fb.rand(1, 3, 4, 4)}
    out = pyramid(maps)
    assert {name: tuple(m.shape) for name, m in out.items()} == {
        "fine": (1, 4, 8, 8), "coarse": (1, 4, 4, 4), "pool": (1, 4, 2, 2),
    }  # fmt: skip
    coarse = pyramid.inner_blocks[1](maps["coarse"])
    fine = pyramid.inner_blocks[0](maps["fine"])
    fine = fine + coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    fb.testing.assert_close(out["fine"], pyramid.layer_blocks[0](fine))
    fb.testing.assert_close(out["coarse"], pyramid.layer_blocks[1](coarse))
    with pytest.raises(ValueError, match="in_channels=0"):
        ops.FeaturePyramidNetwork([0], 4)
    with pytest.raises(TypeError, match="ExtraFPNBlock"):
        ops.FeaturePyramidNetwork([1], 4, fb.nn.ReLU())


def test_two_further_levels():
    extra = LastLevelP6P7(4, 4)
    out, names = extra([fb.rand(1, 4, 8, 8)], [fb.rand(1, 3, 8, 8)], ["0"])
    assert [tuple(m.shape[2:]) for m in out] == [(8, 8), (4, 4), (2, 2)]
    assert names == ["0", "p6", "p7"]
