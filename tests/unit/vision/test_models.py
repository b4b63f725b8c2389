"""Classifiers: torchvision's names, numbers of parameters, and weights from a file."""

import warnings

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import models
from flambeau.vision.ops import misc


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.fixture
def meta():
    with fb.device("meta"):
        yield


@pytest.mark.parametrize("name", models.list_models())
def test_each_model_has_as_many_parameters_as_published(name, meta):
    without = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    model = models.get_model(name, **without).eval()
    assert count(model) == models.get_model_weights(name).DEFAULT.meta["num_params"]
    assert model(fb.empty(2, 3, 224, 224)).shape == (2, 1000)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", 11_689_512), ("resnet50", 25_557_032), ("vgg16", 138_357_544),
        ("alexnet", 61_100_840), ("mobilenet_v2", 3_504_872), ("mobilenet_v3_large", 5_483_032),
        ("mobilenet_v3_small", 2_542_856), ("densenet121", 7_978_856),
        ("efficientnet_b0", 5_288_548), ("vit_b_16", 86_567_656), ("convnext_tiny", 28_589_128),
        ("squeezenet1_0", 1_248_424), ("shufflenet_v2_x1_0", 2_278_604),
    ],
)  # fmt: skip
def test_parameters(name, parameters, meta):
    assert count(models.get_model(name)) == parameters


@pytest.mark.parametrize(
    ("name", "key", "shape"),
    [
        ("resnet50", "layer1.0.downsample.0.weight", (256, 64, 1, 1)),
        ("resnet18", "layer4.1.bn2.num_batches_tracked", ()),
        ("vgg11_bn", "features.25.weight", (512, 512, 3, 3)),
        ("squeezenet1_0", "features.12.expand3x3.bias", (256,)),
        ("densenet121", "features.denseblock4.denselayer16.conv2.weight", (32, 128, 3, 3)),
        ("densenet121", "features.transition3.norm.running_var", (1024,)),
        ("mobilenet_v2", "features.1.conv.1.weight", (16, 32, 1, 1)),
        ("mobilenet_v2", "features.2.conv.0.0.weight", (96, 16, 1, 1)),
        ("mobilenet_v3_small", "features.1.block.1.fc1.weight", (8, 16, 1, 1)),
        ("mobilenet_v3_large", "classifier.3.weight", (1000, 1280)),
        ("efficientnet_b0", "features.2.0.block.2.fc2.bias", (96,)),
        ("efficientnet_v2_s", "features.2.0.block.1.0.weight", (48, 96, 1, 1)),
        ("vit_b_16", "encoder.layers.encoder_layer_11.mlp.3.weight", (768, 3072)),
        ("vit_b_16", "encoder.layers.encoder_layer_0.self_attention.in_proj_bias", (2304,)),
        ("vit_b_16", "heads.head.bias", (1000,)),
        ("convnext_tiny", "features.1.0.layer_scale", (96, 1, 1)),
        ("convnext_tiny", "features.7.2.block.5.weight", (768, 3072)),
        ("convnext_tiny", "classifier.2.weight", (1000, 768)),
        ("shufflenet_v2_x1_0", "stage4.3.branch2.5.weight", (232, 232, 1, 1)),
    ],
)
def test_names_are_those_of_torchvision(name, key, shape, meta):
    assert models.get_model(name).state_dict()[key].shape == shape


def test_small_model_learns():
    fb.manual_seed(0)
    model = models.resnet18(num_classes=3)
    images, classes = fb.randn(4, 3, 32, 32), fb.tensor([0, 1, 2, 0])
    optimizer = fb.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), classes)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_zero_init_and_dilation(meta):
    model = models.resnet50(replace_stride_with_dilation=[False, True, True])
    assert model.layer4[1].conv2.dilation == (4, 4)
    assert model.layer4[0].conv2.dilation == (2, 2)
    with pytest.raises(ValueError, match="3-element"):
        models.resnet50(replace_stride_with_dilation=[True])
    with pytest.raises(NotImplementedError, match="BasicBlock"):
        models.resnet18(replace_stride_with_dilation=[False, False, True])


def test_googlenet_has_auxiliary_scores_in_training(meta):
    with pytest.warns(FutureWarning, match="init_weights"):
        model = models.googlenet(num_classes=5)
    assert count(models.googlenet(init_weights=False)) == 13_004_888
    assert [scores.shape for scores in model(fb.empty(2, 3, 64, 64))] == [(2, 5)] * 3
    assert model.eval()(fb.empty(2, 3, 64, 64)).shape == (2, 5)


def test_published_googlenet_loads_without_its_auxiliary_classifiers(monkeypatch):
    state = models.googlenet(init_weights=False).state_dict()
    monkeypatch.setattr(fb.hub, "load_state_dict_from_url", lambda *args, **kwargs: state)
    model = models.googlenet(weights="DEFAULT")
    assert model.aux1 is None
    assert model.transform_input
    assert fb.equal(model.fc.weight, state["fc.weight"])
    assert models.googlenet(weights="DEFAULT", aux_logits=True).aux2 is not None


def test_list_models():
    assert models.list_models(include="resnet*", exclude=["*1*"]) == ["resnet34", "resnet50"]
    assert set(models.list_models(module=models)) == set(models.list_models())
    with pytest.raises(ValueError, match="Unknown model lenet9000"):
        models.get_model("lenet9000")


def test_weights_are_members_and_names():
    weights = models.ResNet50_Weights
    assert weights.DEFAULT is weights.IMAGENET1K_V2
    assert models.get_weight("ResNet50_Weights.IMAGENET1K_V1") is weights.IMAGENET1K_V1
    assert weights.verify("DEFAULT") is weights.DEFAULT
    assert weights.IMAGENET1K_V1.url.endswith("/resnet50-0676ba61.pth")
    with pytest.raises(ValueError, match="There are no weights 'V9'"):
        models.resnet50(weights="V9")
    with pytest.raises(TypeError, match="expected ResNet50_Weights"):
        models.resnet50(weights=models.ResNet18_Weights.DEFAULT)
    with pytest.raises(ValueError, match="1000 classes"):
        models.resnet50(weights="DEFAULT", num_classes=10)


def test_transforms_of_weights():
    image = fb.full((3, 300, 400), 255, dtype=fb.uint8)
    out = models.ResNet18_Weights.DEFAULT.transforms()(image)
    assert out.shape == (3, 224, 224)
    white = (1 - fb.tensor([0.485, 0.456, 0.406])) / fb.tensor([0.229, 0.224, 0.225])
    assert fb.allclose(out[:, 0, 0], white)


def test_weights_load_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAMBEAU_HUB_OFFLINE", "1")
    monkeypatch.setattr("flambeau.hub.weights.get_dir", lambda: str(tmp_path))
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    fb.manual_seed(3)
    source = models.squeezenet1_1()
    fb.save(source.state_dict(), folder / "squeezenet1_1-b8a52dc0.pth")
    loaded = models.squeezenet1_1(weights="IMAGENET1K_V1")
    assert all(map(fb.equal, source.parameters(), loaded.parameters()))
    with pytest.warns(UserWarning, match="'pretrained' is deprecated"):
        models.squeezenet1_1(pretrained=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError, match="resnet18-f37072fd"):
            models.resnet18(weights="DEFAULT")


def test_old_names_in_published_files():
    old = "features.denseblock1.denselayer1.norm.1.weight"
    assert models.densenet._renamed(old) == "features.denseblock1.denselayer1.norm1.weight"
    model = models.vision_transformer.VisionTransformer(8, 4, 1, 2, 8, 16, num_classes=3)
    state = model.state_dict()
    for new, former in (("mlp.0", "mlp.linear_1"), ("mlp.3", "mlp.linear_2")):
        for key in [key for key in state if new in key]:
            state[key.replace(new, former)] = state.pop(key) + 1
    before = model.encoder.layers[0].mlp[0].weight.clone()
    model.load_state_dict(state)
    assert fb.equal(model.encoder.layers[0].mlp[0].weight, before + 1)


def test_vision_transformer_refuses_other_sizes(meta):
    model = models.vit_b_32()
    with pytest.raises(ValueError, match="Expected 224 x 224 but got 96 x 96"):
        model(fb.empty(1, 3, 96, 96))


def test_frozen_batch_norm_takes_the_state_of_batch_norm():
    norm = nn.BatchNorm2d(3).eval()
    norm.running_mean.normal_()
    frozen = misc.FrozenBatchNorm2d(3)
    frozen.load_state_dict(norm.state_dict())
    x = fb.randn(2, 3, 4, 4)
    assert fb.allclose(frozen(x), norm(x), atol=1e-6)
    assert not list(frozen.parameters())
    assert repr(frozen) == "FrozenBatchNorm2d(3, eps=1e-05)"


def test_stochastic_depth():
    fb.manual_seed(0)
    kept = misc.stochastic_depth(fb.ones(200, 2), 0.25, "row")
    assert {0.0, round(4 / 3, 4)} == {round(v, 4) for v in kept.flatten().tolist()}
    assert fb.equal(kept[:, 0], kept[:, 1])
    assert fb.equal(misc.StochasticDepth(0.9, "batch").eval()(kept), kept)
    with pytest.raises(ValueError, match="mode has to be"):
        misc.stochastic_depth(kept, 0.5, "column")


def test_convolution_block_has_a_bias_without_normalisation():
    plain = misc.Conv2dNormActivation(3, 4, 5, norm_layer=None, activation_layer=None)
    assert plain[0].bias is not None
    assert plain[0].padding == (2, 2)
    assert misc.Conv3dNormActivation(3, 4, (3, 1, 5))[0].padding == (1, 0, 2)
    with_norm = misc.Conv2dNormActivation(3, 4)
    assert with_norm[0].bias is None
    assert [type(layer).__name__ for layer in with_norm] == ["Conv2d", "BatchNorm2d", "ReLU"]
