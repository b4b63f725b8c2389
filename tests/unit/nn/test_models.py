"""Whole models: PyTorch's weights for the same seed, its names, its text, its results."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import flambeau as fb

CONSTRUCTORS = [
    "Linear(3, 4)", "Linear(3, 4, bias=False)", "Bilinear(2, 3, 4)", "Conv1d(2, 4, 3)",
    "Conv2d(2, 4, (3, 2), stride=2, padding=1, dilation=2, groups=2)",
    "Conv2d(2, 4, 3, padding='same', padding_mode='reflect')", "Conv3d(1, 2, 2)",
    "ConvTranspose1d(2, 3, 3)", "ConvTranspose2d(2, 4, 3, output_padding=1, stride=2)",
    "ConvTranspose3d(1, 2, 2, bias=False)", "BatchNorm1d(3)", "BatchNorm2d(3, affine=False)",
    "BatchNorm3d(3, bias=False)", "InstanceNorm1d(3)", "InstanceNorm2d(3, affine=True)",
    "LayerNorm((2, 3))", "LayerNorm(3, bias=False)", "GroupNorm(2, 4)", "RMSNorm(3)",
    "LocalResponseNorm(2)", "CrossMapLRN2d(2)", "Embedding(5, 3)", "Embedding(5, 3, 1, 2.0)",
    "EmbeddingBag(5, 3)", "EmbeddingBag(5, 3, mode='sum', padding_idx=2)", "PReLU(3)",
    "RNN(2, 3)", "RNN(2, 3, nonlinearity='relu', bidirectional=True)", "GRU(2, 3, 2)",
    "LSTM(2, 4, 2, bias=False, bidirectional=True, proj_size=2, batch_first=True)",
    "RNNCell(2, 3)", "RNNCell(2, 3, False, 'relu')", "LSTMCell(2, 3)", "GRUCell(2, 3)",
    "MultiheadAttention(4, 2)", "MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True)",
    "TransformerEncoderLayer(4, 2, 8)", "TransformerDecoderLayer(4, 2, 8, activation='gelu')",
    "Transformer(4, 2, 1, 1, 8)", "AdaptiveLogSoftmaxWithLoss(16, 10, [3, 5])",
    "LinearCrossEntropyLoss(2, 3)", "LazyLinear(3)", "LazyConv2d(3, 3)", "LazyBatchNorm1d()",
    "LazyConvTranspose1d(3, 3)", "LazyInstanceNorm2d()",
    "Threshold(1.0, 2.0, True)", "ReLU()", "ReLU(True)", "RReLU(inplace=True)",
    "Hardtanh(-2, 2, True)", "ReLU6(True)", "Sigmoid()", "Hardsigmoid(True)", "Tanh()",
    "SiLU(True)", "Mish()", "Hardswish(True)", "ELU(2, True)", "CELU()", "SELU(True)", "GLU()",
    "GELU('tanh')", "Hardshrink()", "LeakyReLU(0.2, True)", "LogSigmoid()", "Softplus()",
    "Softshrink()", "Softsign()", "Tanhshrink()", "Softmin()", "Softmax(1)", "Softmax2d()",
    "LogSoftmax(1)", "Dropout()", "Dropout1d()", "Dropout2d(0.3, True)", "Dropout3d()",
    "AlphaDropout()", "FeatureAlphaDropout()", "Identity(3, a=4)", "Flatten()",
    "Unflatten(1, (2, 3))", "MaxPool1d(2)", "MaxPool2d((2, 3), 1, ceil_mode=True)",
    "MaxPool3d(2)", "MaxUnpool1d(2)", "MaxUnpool2d(2)", "MaxUnpool3d(2, 3)", "AvgPool1d(2)",
    "AvgPool2d(2)", "AvgPool3d(2)", "FractionalMaxPool2d(2, 3)", "FractionalMaxPool3d(2, 3)",
    "LPPool1d(2, 3)", "LPPool2d(2, 3)", "LPPool3d(2, 3)", "AdaptiveAvgPool1d(3)",
    "AdaptiveAvgPool2d((None, 3))", "AdaptiveAvgPool3d(1)", "AdaptiveMaxPool1d(3)",
    "AdaptiveMaxPool2d(3)", "AdaptiveMaxPool3d(3)", "ConstantPad1d(2, 0.0)",
    "ConstantPad2d(2, 1.0)", "ConstantPad3d(2, 1.0)", "ReflectionPad1d(1)",
    "ReflectionPad2d(1)", "ReflectionPad3d(1)", "ReplicationPad1d(3)", "ReplicationPad2d(1)",
    "ReplicationPad3d(1)", "ZeroPad1d(1)", "ZeroPad2d((1, 2, 3, 4))", "ZeroPad3d(1)",
    "CircularPad1d(1)", "CircularPad2d(1)", "CircularPad3d(1)", "CosineSimilarity()",
    "PairwiseDistance()", "PixelShuffle(2)", "PixelUnshuffle(2)", "ChannelShuffle(2)",
    "Upsample(scale_factor=2)", "Upsample(size=(2, 3), mode='bilinear')",
    "UpsamplingNearest2d(3)", "UpsamplingBilinear2d(scale_factor=2)", "Fold(2, 2)", "Unfold(2)",
    "L1Loss()", "MSELoss()", "SmoothL1Loss()", "HuberLoss()", "NLLLoss()", "CrossEntropyLoss()",
    "BCELoss()", "BCEWithLogitsLoss()", "KLDivLoss()", "PoissonNLLLoss()", "GaussianNLLLoss()",
    "CTCLoss()", "HingeEmbeddingLoss()", "CosineEmbeddingLoss()", "MarginRankingLoss()",
    "TripletMarginLoss()", "TripletMarginWithDistanceLoss()", "MultiMarginLoss()",
    "MultiLabelMarginLoss()", "MultiLabelSoftMarginLoss()", "SoftMarginLoss()",
    "Sequential(nn.Linear(1, 2), nn.ReLU())",
]


def build(ns, text):
    nn = ns.nn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(f"nn.{text}", {"nn": nn})


@pytest.mark.parametrize("text", CONSTRUCTORS)
def test_weights_names_and_text_equal_torch(text):
    torch = pytest.importorskip("torch")
    fb.manual_seed(7)
    torch.manual_seed(7)
    mine, theirs = build(fb, text), build(torch, text)
    assert repr(mine) == repr(theirs)
    state, other = mine.state_dict(), theirs.state_dict()
    assert list(state) == list(other) and state._metadata == other._metadata
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    if text.startswith("Lazy"):
        return
    for name, value in other.items():
        np.testing.assert_array_equal(state[name].numpy(), value.numpy(), err_msg=name)
    assert fb.rand(1).item() == torch.rand(1).item()


def cnn(nn):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(36, 10), nn.LayerNorm(10), nn.GELU(), nn.Linear(10, 3))


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_training_equals_torch(name):
    torch = pytest.importorskip("torch")

    def train(ns):
        ns.manual_seed(3)
        model = cnn(ns.nn)
        settings = {"momentum": 0.9} if name == "SGD" else {}
        opt = getattr(ns.optim, name)(model.parameters(), lr=1e-2, **settings)
        x, y = ns.randn(6, 1, 8, 8), ns.randint(0, 3, (6,))
        losses = []
        for _ in range(5):
            opt.zero_grad()
            loss = ns.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            ns.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            losses.append(loss.item())
        model.eval()
        return [*losses, *model(x).detach().numpy().ravel()]

    np.testing.assert_allclose(train(fb), train(torch), rtol=2e-4, atol=2e-5)
