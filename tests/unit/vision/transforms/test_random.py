"""Random transforms: the numbers in here are torchvision's for seed 0."""

import random

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import transforms as T

IMAGE = fb.zeros(3, 24, 32)


def draws(function, count):
    fb.manual_seed(0)
    return [function() for _ in range(count)]


def stream_is_at(value):
    """The generator has been used as often as torchvision uses it."""
    return fb.rand(1).item() == pytest.approx(value, abs=0)


def close(drawn, expected):
    flat = list(np.hstack([np.ravel(np.hstack(d)) for d in drawn]))
    return flat == pytest.approx(np.hstack([np.ravel(np.hstack(e)) for e in expected]), rel=1e-6)


def test_random_crop():
    boxes = draws(lambda: T.RandomCrop.get_params(IMAGE, (10, 12)), 3)
    assert boxes == [(14, 3, 10, 12), (8, 9, 10, 12), (13, 9, 10, 12)]
    assert stream_is_at(0.4900934100151062)


def test_random_crop_of_the_whole_draws_nothing():
    fb.manual_seed(0)
    assert T.RandomCrop.get_params(IMAGE, (24, 32)) == (0, 0, 24, 32)
    assert stream_is_at(0.49625658988952637)


def test_random_resized_crop():
    boxes = draws(lambda: T.RandomResizedCrop.get_params(IMAGE, (0.08, 1.0), (3 / 4, 4 / 3)), 3)
    assert boxes == [(5, 3, 19, 22), (7, 7, 16, 17), (5, 11, 19, 20)]
    assert stream_is_at(0.022325754165649414)


def test_random_resized_crop_falls_back_to_the_middle():
    boxes = draws(lambda: T.RandomResizedCrop.get_params(IMAGE, (0.9, 1.0), (8, 9)), 3)
    assert boxes == [(10, 0, 4, 32)] * 3
    assert stream_is_at(0.7262365221977234)


def test_random_resized_crop_of_an_image_that_is_too_wide():
    top, left, height, width = T.RandomResizedCrop.get_params(IMAGE, (0.9, 1.0), (0.1, 0.2))
    assert (top, left, height, width) == (0, 13, 24, 5)


def test_color_jitter():
    taken = draws(lambda: T.ColorJitter.get_params((0.5, 1.5), None, (0.2, 0.3), (-0.1, 0.1)), 3)
    assert [order.tolist() for order, *_ in taken] == [[0, 1, 3, 2], [3, 2, 0, 1], [0, 1, 2, 3]]
    assert all(contrast is None for _, _, contrast, _, _ in taken)
    assert close(
        [(b, s, h) for _, b, _, s, h in taken],
        [
            (0.6320304870605469, 0.23074229061603546, 0.026815736666321754),
            (1.1323063373565674, 0.23488935828208923, -0.01965653896331787),
            (1.018521785736084, 0.26976677775382996, 0.06000227853655815),
        ],
    )
    assert stream_is_at(0.16102945804595947)


def test_random_rotation():
    angles = draws(lambda: T.RandomRotation.get_params([-30, 30]), 3)
    assert angles == [-0.22460460662841797, 16.093307495117188, -24.691354751586914]
    assert stream_is_at(0.13203048706054688)


def test_random_affine():
    def drawn():
        limits = ([-30, 30], (0.1, 0.2), (0.5, 2.0), [-5, 5, 0, 10], [32, 24])
        return T.RandomAffine.get_params(*limits)

    taken = draws(drawn, 3)
    assert [shift for _, shift, _, _ in taken] == [(2, -4), (3, 0), (-2, -2)]
    assert close(
        [(a, s, *shear) for a, _, s, shear in taken],
        [
            (-0.22460460662841797, 0.6980457305908203, -1.9257718324661255, 6.340786933898926),
            (-0.5943953990936279, 1.4484593868255615, -1.5110653638839722, 4.017172813415527),
            (-28.66045379638672, 1.277782678604126, 1.9766759872436523, 8.000114440917969),
        ],
    )
    assert stream_is_at(0.16102945804595947)


def test_random_affine_draws_only_what_varies():
    assert T.RandomAffine.get_params([5, 5], None, None, None, [32, 24]) == (
        5.0, (0, 0), 1.0, (0.0, 0.0),
    )  # fmt: skip


def test_random_erasing():
    boxes = draws(lambda: T.RandomErasing.get_params(IMAGE, (0.02, 0.33), (0.3, 3.3), [0.0])[:4], 3)
    assert boxes == [(2, 10, 16, 8), (13, 3, 11, 8), (5, 9, 13, 10)]
    assert stream_is_at(0.022325754165649414)


def test_random_erasing_with_noise():
    taken = draws(lambda: T.RandomErasing.get_params(IMAGE, (0.02, 0.33), (0.3, 3.3)), 2)
    assert [box[:4] for box in taken] == [(2, 17, 16, 8), (4, 10, 13, 7)]
    assert [noise.sum().item() for *_, noise in taken] == pytest.approx(
        [9.365281105041504, 25.358800888061523], rel=1e-4
    )
    assert stream_is_at(0.1670939326286316)


def test_random_erasing_of_nothing_that_fits():
    *box, value = T.RandomErasing.get_params(IMAGE, (0.9, 1.0), (3.0, 3.3), [0.0])
    assert box == [0, 0, 24, 32]
    assert value is IMAGE


def test_random_erasing_writes_only_the_box():
    fb.manual_seed(0)
    image = fb.ones(3, 24, 32)
    out = T.RandomErasing(p=1.0, value=(1.0, 2.0, 3.0))(image)
    assert set(out[1].flatten().tolist()) == {1.0, 2.0}
    assert image.min().item() == 1.0
    assert T.RandomErasing(p=1.0, inplace=True)(image) is image
    assert image.min().item() == 0.0
    assert T.RandomErasing(p=0.0)(image) is image


COIN = [True, False, True, True, True, False, True, False]


@pytest.mark.parametrize(
    ("transform", "image", "changed"),
    [
        (T.RandomHorizontalFlip(), fb.tensor([[0, 1]]), [[1, 0]]),
        (T.RandomVerticalFlip(), fb.tensor([[0], [1]]), [[1], [0]]),
    ],
)
def test_flips(transform, image, changed):
    taken = draws(lambda: transform(image).tolist() == changed, 8)
    assert taken == COIN
    assert stream_is_at(0.455627977848053)


def test_random_grayscale():
    red = fb.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)
    taken = draws(lambda: T.RandomGrayscale(0.5)(red).sum().item(), 8)
    assert [value != 1.0 for value in taken] == COIN
    assert taken[0] == pytest.approx(3 * 0.2989)


def test_random_apply():
    taken = draws(lambda: T.RandomApply([lambda x: x + 1, lambda x: 10 * x], p=0.3)(0), 8)
    assert taken == [0, 0, 10, 10, 0, 0, 0, 0]


def test_random_choice_and_order_use_pythons_generator():
    random.seed(0)
    choice = T.RandomChoice([lambda x: 1, lambda x: 2, lambda x: 3], p=[1, 2, 1])
    assert [choice(0) for _ in range(8)] == [3, 3, 2, 2, 2, 2, 3, 2]
    random.seed(0)
    order = T.RandomOrder([lambda x: x + "a", lambda x: x + "b", lambda x: x + "c"])
    assert [order("") for _ in range(4)] == ["acb", "cba", "abc", "acb"]
