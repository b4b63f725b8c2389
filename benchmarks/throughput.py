"""Operations on large tensors, against PyTorch in one run.

    python benchmarks/throughput.py --only softmax,matmul_1024 --output throughput.json
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from side_by_side import Case, main

CASES: dict[str, Case] = {}


def values(T: Any, *shape: int, grad: bool = False) -> Any:
    x = T.from_numpy(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))
    return x.requires_grad_() if grad else x


def integers(T: Any, high: int, *shape: int) -> Any:
    return T.from_numpy(np.random.default_rng(1).integers(0, high, shape))


def case(make: Case) -> Case:
    CASES[make.__name__] = make
    return make


def one(name: str, shape: tuple[int, ...], function: Callable[[Any, Any], Any]) -> None:
    """A case of one tensor: ``function(T, x)``."""

    def make(T: Any) -> Callable[[], Any]:
        x = values(T, *shape)
        return lambda: function(T, x)

    CASES[name] = make


def both_ways(name: str, shape: tuple[int, ...], function: Callable[[Any, Any], Any]) -> None:
    """A case with its gradient."""

    def make(T: Any) -> Callable[[], Any]:
        x = values(T, *shape, grad=True)
        g = values(T, *function(T, x).shape)

        def step() -> None:
            x.grad = None
            function(T, x).backward(g)

        return step

    CASES[f"{name}_and_backward"] = make


SQUARE = (4096, 4096)

one("add_16M", SQUARE, lambda T, x: x + x)
one("multiply_number_16M", SQUARE, lambda T, x: x * 2.5)
one("relu_16M", SQUARE, lambda T, x: x.relu())
one("exp_16M", SQUARE, lambda T, x: x.exp())
one("tanh_16M", SQUARE, lambda T, x: x.tanh())
one("gelu_16M", SQUARE, lambda T, x: T.nn.functional.gelu(x))
one("gelu_64k", (256, 256), lambda T, x: T.nn.functional.gelu(x))
one("softmax_16M", SQUARE, lambda T, x: x.softmax(-1))
one("layer_norm_16M", SQUARE, lambda T, x: T.nn.functional.layer_norm(x, x.shape[-1:]))
one("sum_16M", SQUARE, lambda T, x: x.sum())
one("sum_of_columns_16M", SQUARE, lambda T, x: x.sum(0))
one("argmax_of_rows_16M", SQUARE, lambda T, x: x.argmax(1))
one("cumsum_16M", SQUARE, lambda T, x: x.cumsum(1))
one("transposed_copy_16M", SQUARE, lambda T, x: x.t().contiguous())
one("clone_16M", SQUARE, lambda T, x: x.clone())
one("cat_16M", (2048, 4096), lambda T, x: T.cat([x, x]))
one("to_double_4M", (2048, 2048), lambda T, x: x.double())
one("sort_1M", (1 << 20,), lambda T, x: x.sort())
one("random_normal_1M", (1,), lambda T, x: T.randn(1 << 20))
for size in (256, 1024, 2048):
    one(f"matmul_{size}", (size, size), lambda T, x: x @ x)
one("matmul_batched_64x256x64", (64, 256, 64), lambda T, x: x @ x.transpose(1, 2))
both_ways("gelu_4M", (2048, 2048), lambda T, x: T.nn.functional.gelu(x))
both_ways("softmax_4M", (2048, 2048), lambda T, x: x.softmax(-1))
both_ways("layer_norm_4M", (2048, 2048),
          lambda T, x: T.nn.functional.layer_norm(x, x.shape[-1:]))
both_ways("max_pool2d", (32, 64, 56, 56), lambda T, x: T.nn.functional.max_pool2d(x, 3, 2, 1))


@case
def linear_and_backward_1024x384x1536(T: Any) -> Callable[[], Any]:
    layer, x = T.nn.Linear(384, 1536), values(T, 1024, 384, grad=True)
    g = values(T, 1024, 1536)
    return lambda: layer(x).backward(g)


def convolution(
    name: str, shape: tuple[int, ...], outputs: int, kernel: int, **options: int
) -> None:
    """A convolution with both of its gradients."""

    def make(T: Any) -> Callable[[], Any]:
        layer = T.nn.Conv2d(shape[1], outputs, kernel, **options)
        x = values(T, *shape, grad=True)
        g = values(T, *layer(x).shape)
        return lambda: layer(x).backward(g)

    CASES[f"{name}_and_backward"] = make


convolution("conv_32x64x32x32_k3", (32, 64, 32, 32), 64, 3, padding=1)
convolution("conv_32x256x8x8_k3", (32, 256, 8, 8), 256, 3, padding=1)
convolution("conv_32x64x32x32_k3_stride_2", (32, 64, 32, 32), 128, 3, padding=1, stride=2)
convolution("conv_8x3x224x224_k7_stride_2", (8, 3, 224, 224), 64, 7, padding=3, stride=2)


@case
def batch_norm_and_backward(T: Any) -> Callable[[], Any]:
    layer, x = T.nn.BatchNorm2d(64), values(T, 32, 64, 32, 32, grad=True)
    g = values(T, 32, 64, 32, 32)
    return lambda: layer(x).backward(g)


@case
def attention_and_backward_4x6x256x64(T: Any) -> Callable[[], Any]:
    q, k, v = (values(T, 4, 6, 256, 64, grad=True) for _ in range(3))
    g = values(T, 4, 6, 256, 64)
    attend = T.nn.functional.scaled_dot_product_attention
    return lambda: attend(q, k, v, is_causal=True).backward(g)


@case
def embedding_and_backward(T: Any) -> Callable[[], Any]:
    layer, rows = T.nn.Embedding(10_000, 256), integers(T, 10_000, 8192)
    g = values(T, 8192, 256)
    return lambda: layer(rows).backward(g)


@case
def cross_entropy_8192x10000_and_backward(T: Any) -> Callable[[], Any]:
    x, classes = values(T, 8192, 10_000, grad=True), integers(T, 10_000, 8192)
    return lambda: T.nn.functional.cross_entropy(x, classes).backward()


@case
def adam_16m(T: Any) -> Callable[[], Any]:
    parameter = T.nn.Parameter(values(T, *SQUARE))
    parameter.grad = values(T, *SQUARE)
    optimizer = T.optim.Adam([parameter], lr=1e-6)
    return optimizer.step


if __name__ == "__main__":
    main(CASES, "operations on large tensors", __doc__)
