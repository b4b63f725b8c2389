"""Some of the cases in JAX, compiled by ``jit``, for the tables when JAX is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def cases() -> dict[str, Callable[[], Callable[[], Any]]]:
    """Makers of functions that wait for their results; none without JAX."""
    try:
        import jax
    except ImportError:
        return {}
    jnp = jax.numpy

    def one(shape: tuple[int, ...], function: Callable[[Any], Any]) -> Callable[[], Any]:
        def make() -> Callable[[], Any]:
            x = jnp.asarray(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))
            compiled = jax.jit(function)
            return lambda: compiled(x).block_until_ready()

        return make

    def mlp() -> Callable[[], Any]:
        rng = np.random.default_rng(0)
        sizes = ((256, 784), (256, 256), (10, 256))
        weights = [(jnp.asarray(rng.standard_normal(s, dtype=np.float32) / s[1] ** 0.5),
                    jnp.zeros(s[0])) for s in sizes]
        x = jnp.asarray(rng.standard_normal((128, 784), dtype=np.float32))
        y = jnp.asarray(rng.integers(0, 10, 128))
        zeros = jax.tree_util.tree_map(jnp.zeros_like, weights)
        state = [(weights, zeros, zeros, jnp.float32(0))]

        def loss_of(parameters: Any) -> Any:
            h = x
            for w, b in parameters[:-1]:
                h = jax.nn.relu(h @ w.T + b)
            w, b = parameters[-1]
            logs = jax.nn.log_softmax(h @ w.T + b)
            return -jnp.take_along_axis(logs, y[:, None], 1).mean()

        @jax.jit
        def train(state: Any) -> Any:
            p, m, v, t = state
            loss, g = jax.value_and_grad(loss_of)(p)
            each, t = jax.tree_util.tree_map, t + 1
            m = each(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = each(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            p = each(lambda p, m, v: p - 1e-3 * (m / (1 - 0.9**t)) / (
                jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), p, m, v)
            return (p, m, v, t), loss

        def step() -> Any:
            state[0], loss = train(state[0])
            return loss.block_until_ready()

        return step

    square = (4096, 4096)
    return {
        "add_16M": one(square, lambda x: x + x),
        "exp_16M": one(square, jnp.exp),
        "gelu_16M": one(square, lambda x: jax.nn.gelu(x, approximate=False)),
        "softmax_16M": one(square, jax.nn.softmax),
        "sum_16M": one(square, jnp.sum),
        "matmul_1024": one((1024, 1024), lambda x: x @ x),
        "sort_1M": one((1 << 20,), jnp.sort),
        "mlp": mlp,
    }
