"""Every op with samples: ``vmap`` equals the loop, and tangents equal those of two vjps.

One sample of each op, so that the whole registry takes a few seconds.
"""

import warnings
import zlib

import numpy as np
import pytest

import flambeau as fb
from flambeau import func as tf
from flambeau.autograd import functional
from flambeau.registry import all_ops
from flambeau_conformance.make import Maker

DYNAMIC = {
    "argwhere", "bincount", "masked_select", "nonzero", "repeat_interleave", "unique",
    "unique_consecutive"}
"""Ops whose results may differ in shape."""
INCONSISTENT = {
    "attention_grads", "batch_norm_grads", "group_norm_grads", "layer_norm_grads",
    "lstm_sequence_grads", "gru_sequence_grads", "rnn_sequence_grads"}
"""Internal ops whose samples are stacked from two calls that do not belong together."""
OPS = [
    op for op in all_ops()
    if op.samples is not None and not op.is_random and not op.name.endswith("_")
    and op.name not in DYNAMIC | INCONSISTENT]


class HostMaker(Maker):
    """Makes the samples on the CPU."""

    def _place(self, array, what):
        return fb.from_numpy(np.array(array).astype(what.numpy))


def leaves(tree):
    if isinstance(tree, fb.Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [t for x in tree for t in leaves(x)] if isinstance(tree, (list, tuple)) else []


def refilled(tree, values):
    if isinstance(tree, fb.Tensor):
        return next(values)
    if isinstance(tree, (list, tuple)):
        items = [refilled(x, values) for x in tree]
        return getattr(type(tree), "_make", type(tree))(items)
    if isinstance(tree, dict):
        return {k: refilled(v, values) for k, v in tree.items()}
    return tree


def two_samples(op, what):
    """A call as a function of its tensors, and two lists of tensors for it."""
    kinds = [list(op.samples(HostMaker(what, op.name, seed))) for seed in (0, 1)]
    pairs = [
        (a, b) for a, b in zip(*kinds, strict=True)
        if leaves((a.args, a.kwargs)) and [t.shape for t in leaves((a.args, a.kwargs))] == [
            t.shape for t in leaves((b.args, b.kwargs))]]
    if not pairs:
        pytest.skip("no tensors to stack")
    a, b = pairs[zlib.crc32(op.name.encode()) % len(pairs)]

    def call(*tensors):
        args, named = refilled((a.args, a.kwargs), iter(tensors))
        return tuple(leaves(op.function(*args, **named)))

    return call, *([t.detach().clone() for t in leaves((s.args, s.kwargs))] for s in (a, b))


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_vmap_is_the_loop(op):
    whole = op.dtypes in ("integral", "bool_integral")
    plain = fb.complex64 if op.dtypes == "complex" else fb.float32
    call, first, second = two_samples(op, fb.int64 if whole else plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = call(*first), call(*second)
    if not wanted[0]:
        pytest.skip("no tensors come out")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some have no rule
        found = tf.vmap(call)(*[fb.stack([x, y]) for x, y in zip(first, second, strict=True)])
    for i in range(2):
        for got, want in zip(found, wanted[i], strict=True):
            assert got.dtype is want.dtype
            np.testing.assert_allclose(
                got[i].numpy(), want.numpy(), rtol=2e-4, atol=2e-5, strict=True)


def moving(call, tensors):
    """The places of the tensors by which the op has a derivative."""
    at = [i for i, t in enumerate(tensors) if t.dtype.is_floating_point or t.dtype.is_complex]
    for i in at:
        tensors[i].requires_grad_()
    outs = [o for o in call(*tensors) if o.requires_grad]
    found = fb.autograd.grad(
        outs, [tensors[i] for i in at], [fb.ones_like(o) for o in outs], allow_unused=True,
    ) if outs else [None] * len(at)
    for i in at:
        tensors[i] = tensors[i].detach()
    return [i for i, g in zip(at, found, strict=True) if g is not None]


@pytest.mark.parametrize(
    "op", [op for op in OPS if op.is_differentiable], ids=lambda op: op.name)
def test_tangents_are_those_of_two_vjps(op):
    call, tensors, _ = two_samples(
        op, fb.complex128 if op.dtypes == "complex" else fb.float64)
    try:
        at = moving(call, tensors)
    except (RuntimeError, NotImplementedError) as error:
        if "not implemented" not in str(error):
            raise
        return  # refused with words, as in PyTorch

    def of_floats(*xs):
        filled = list(tensors)
        for i, x in zip(at, xs, strict=True):
            filled[i] = x
        return tuple(
            t for t in call(*filled) if t.dtype.is_floating_point or t.dtype.is_complex)

    xs = tuple(tensors[i] for i in at)
    if not xs or not of_floats(*xs):
        pytest.skip("nothing to differentiate")
    along = tuple(x.sin() + 0.3 for x in xs)
    try:
        wanted = functional.jvp(of_floats, xs, along)[1]
    except RuntimeError as error:
        pytest.skip(f"no second derivative: {error}")
    for got, want in zip(tf.jvp(of_floats, xs, along)[1], wanted, strict=True):
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-6, atol=1e-8, strict=True)
