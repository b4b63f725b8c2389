"""Connectionist temporal classification (Graves et al., 2006).

A target of S labels is read with blanks around them, which makes L = 2 S + 1 positions.
``alpha[t, n, s]`` is the log-probability of all alignments of the first t + 1 frames that end at
position s, ``beta`` that of the rest from there; both count frame t itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.construct import tensor
from flambeau.ops.compare import where
from flambeau.ops.create import full, zeros
from flambeau.ops.join import cat, stack
from flambeau.ops.pointwise import maximum
from flambeau.registry import composite, no_derivative
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor

_INF = float("inf")
Lengths = list[int]


# ---- the recursions ------------------------------------------------------------------------------
def _log_add(*terms: Any) -> Any:
    """The logarithm of the sum of exponentials, minus infinity where all terms are."""
    greatest = terms[0]
    for t in terms[1:]:
        greatest = maximum(greatest, t)
    base = where(greatest == -_INF, 0.0, greatest)
    total = sum((t - base).exp() for t in terms)
    return total.log() + base


def _positions(targets: Any, blank: int) -> tuple[Any, Any]:
    """Labels with blanks around them (N, L), and where a position can be reached from two before:
    a label that differs from the last one."""
    n, s = targets.shape
    place = targets.device
    labels = full((n, 2 * s + 1), blank, dtype=dtypes.int64, device=place)
    labels[:, 1::2] = targets
    may_skip = zeros(n, 2 * s + 1, dtype=dtypes.bool, device=place)
    may_skip[:, 2:] = (labels[:, 2:] != labels[:, :-2]) & (labels[:, 2:] != blank)
    return labels, may_skip


def _shifted(x: Any, by: int) -> Any:
    """Values moved by some positions to higher ones (lower if negative); minus infinity enters."""
    n, length = x.shape
    count = min(abs(by), length)
    fill = full((n, count), -_INF, dtype=x.dtype, device=x.device)
    if by > 0:
        return cat([fill, x[:, : length - count]], 1)
    return cat([x[:, count:], fill], 1)


def _impossible(shape: Any, like: Any) -> Any:
    return full(tuple(shape), -_INF, dtype=like.dtype, device=like.device)


def _alpha(emitted: Any, may_skip: Any) -> Any:
    """Forward log-probabilities from those of the labels, both (T, N, L)."""
    first = cat([emitted[0, :, :2], _impossible(emitted.shape[1:], emitted)[:, 2:]], 1)
    rows = [first]
    for t in range(1, emitted.shape[0]):
        before = rows[-1]
        skipped = where(may_skip, _shifted(before, 2), -_INF)
        rows.append(_log_add(before, _shifted(before, 1), skipped) + emitted[t])
    return stack(rows)


def _beta(emitted: Any, may_skip: Any, frames: Any, ends: Any) -> Any:
    """Backward log-probabilities; ``ends`` (N, L) marks where alignments may end."""
    start = where(ends, 0.0, _impossible(ends.shape, emitted))
    may_leave = _shifted(where(may_skip, 1.0, 0.0), -2) == 1.0
    after = _impossible(ends.shape, emitted)
    rows = []
    for t in range(emitted.shape[0] - 1, -1, -1):
        skipped = where(may_leave, _shifted(after, -2), -_INF)
        onward = _log_add(after, _shifted(after, -1), skipped)
        last, over = (frames == t + 1).unsqueeze(1), (frames <= t).unsqueeze(1)
        after = where(over, -_INF, where(last, start, onward) + emitted[t])
        rows.append(after)
    return stack(rows[::-1])


def _ends(labels: Any, length: int) -> Any:
    """The last blank and the last label of each target, (N, L)."""
    at = tensor(list(range(length)), device=labels.device)
    last = (2 * labels).unsqueeze(1)
    return (at == last) | ((at == last - 1) & (last > 0))


# ---- ops -----------------------------------------------------------------------------------------
def _log_probs(make: Make) -> Any:
    # The gradient is right only together with that of log_softmax, which finite differences of
    # this op alone do not see.
    return make(6, 2, 4, requires_grad=False).log_softmax(-1)


def _losses_samples(make: Make) -> Iterator[Sample]:
    x = _log_probs(make)
    targets = tensor([[1, 2, 2], [3, 1, 0]], device=x.device)
    lengths = (tensor([6, 4], device=x.device), tensor([3, 2], device=x.device))
    yield Sample((x, targets, *lengths, 0), name="padded")


def _back(
    g: Any, log_probs: Any, targets: Any, frames: Any, labels: Any, blank: Any,
    zero_infinity: Any, losses: Any, alpha: Any,
) -> Any:
    return ctc_backward(
        g, log_probs, targets, frames, labels, blank, zero_infinity, losses, alpha)


@composite(
    "ctc_losses(Tensor log_probs, Tensor targets, Tensor frames, Tensor labels, int blank, "
    "bool zero_infinity=False) -> (Tensor losses, Tensor alpha)",
    namespaces=("_internal",), method=False, out=False, samples=_losses_samples,
    derivatives={"log_probs": _back},
)
def ctc_losses(
    log_probs: Any, targets: Any, frames: Any, labels: Any, blank: int,
    zero_infinity: bool = False,
) -> tuple[Any, Any]:
    """Minus the log-probability of each target, and the forward variables for the gradient.

    Args:
        log_probs: (T, N, C).
        targets: (N, S), padded.
        frames, labels: (N): how many there are.
        zero_infinity: the gradient of infinite losses is zero, else not a number.
    """
    names, may_skip = _positions(targets, blank)
    shape = (log_probs.shape[0], *names.shape)
    emitted = log_probs.gather(2, names.unsqueeze(0).expand(shape))
    alpha = _alpha(emitted, may_skip)
    at = (frames - 1).clamp(min=0).reshape(1, -1, 1).expand(1, *names.shape)
    last = alpha.gather(0, at).squeeze(0)
    ended = where(_ends(labels, names.shape[1]), last, -_INF)
    found = -_log_add(*ended.unbind(1))
    nothing = where(labels == 0, 0.0, -_impossible(found.shape, found))
    return where(frames == 0, nothing, found), alpha


def _backward_samples(make: Make) -> Iterator[Sample]:
    for s in _losses_samples(make):
        losses, alpha = ctc_losses(*s.args)
        g = make(*losses.shape, requires_grad=False)
        yield Sample((g, *s.args, False, losses, alpha), name=s.name)


@composite(
    "ctc_backward(Tensor g, Tensor log_probs, Tensor targets, Tensor frames, Tensor labels, "
    "int blank, bool zero_infinity, Tensor losses, Tensor alpha) -> Tensor",
    namespaces=("_internal",), method=False, out=False, samples=_backward_samples,
    derivatives={name: no_derivative("_ctc_loss_backward") for name in ("g", "log_probs")},
)
def ctc_backward(
    g: Any, log_probs: Any, targets: Any, frames: Any, labels: Any, blank: int,
    zero_infinity: bool, losses: Any, alpha: Any,
) -> Any:
    """The gradient for ``log_probs``, taken to be the results of ``log_softmax`` as PyTorch does:
    probabilities minus the part of all alignments that has the class at the frame."""
    names, may_skip = _positions(targets, blank)
    places = names.unsqueeze(0).expand(alpha.shape)
    emitted = log_probs.gather(2, places)
    beta = _beta(emitted, may_skip, frames, _ends(labels, names.shape[1]))
    part = (alpha + beta - emitted + losses.reshape(1, -1, 1)).exp()
    spread = zeros(log_probs.shape, dtype=log_probs.dtype, device=log_probs.device)
    grad = (log_probs.exp() - spread.scatter_add(2, places, part)) * g.reshape(1, -1, 1)
    infinite = (losses == _INF).reshape(1, -1, 1)
    grad = where(infinite, 0.0 if zero_infinity else float("nan"), grad)
    at = tensor(list(range(log_probs.shape[0])), device=log_probs.device)
    return where((at.unsqueeze(1) < frames).unsqueeze(2), grad, 0.0)


def _samples(make: Make) -> Iterator[Sample]:
    x = _log_probs(make)
    targets = tensor([[1, 2, 2], [3, 1, 0]], device=x.device)
    yield Sample((x, targets, (6, 6), (3, 2)), name="padded")
    yield Sample((x, targets.reshape(-1)[:5], (6, 4), (3, 2)), {"reduction": "sum"}, name="joined")
    yield Sample((x[:, 0], targets[0], (6,), (3,)), {"reduction": "none"}, name="unbatched")
    yield Sample((x, targets, (2, 6), (3, 2)), {"zero_infinity": True}, name="impossible")


def _errors(make: Make) -> Iterator[ErrorSample]:
    x, targets = make(5, 2, 4), make.index(4, 2, 3)
    yield error(RuntimeError, "input_lengths must be of size batch_size", x, targets, (5,), (3, 3))
    yield error(RuntimeError, "at most 5, but got value 6", x, targets, (6, 5), (3, 3))
    yield error(RuntimeError, "at least 4 at dimension 1", x, targets, (5, 5), (4, 3))
    yield error(RuntimeError, "blank must be in label range", x, targets, (5, 5), (3, 3), 4)
    yield error(ValueError, "not a valid value", x, targets, (5, 5), (3, 3), 0, "x")


@composite(
    "ctc_loss(Tensor log_probs, Tensor targets, Any input_lengths, Any target_lengths, "
    "int blank=0, Any reduction='mean', bool zero_infinity=False) -> Tensor",
    namespaces=("", "nn.functional"), method=False, out=False, samples=_samples, errors=_errors,
)
def ctc_loss(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: Any = "mean", zero_infinity: bool = False,
) -> Any:
    """Minus the log-probability of target sequences, over all alignments.

    Args:
        log_probs: (T, N, C) or (T, C).
        targets: (N, S), or all targets one after the other.
        input_lengths, target_lengths: (N), tensors or sequences.
        blank: the class of no label.
        reduction: "mean" divides each loss by the length of its target first.
        zero_infinity: targets that cannot be aligned count as zero.
    """
    if reduction not in ("none", "mean", "sum", 0, 1, 2):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    frames, labels = _as_list(input_lengths), _as_list(target_lengths)
    is_batched = log_probs.ndim == 3
    if not is_batched:
        log_probs = log_probs.unsqueeze(1)
    _check(log_probs, frames, labels, blank)
    place = log_probs.device
    counts = tensor(labels, dtype=dtypes.int64, device=place)
    losses, _ = ctc_losses(
        log_probs, _padded(targets, labels).to(place),
        tensor(frames, dtype=dtypes.int64, device=place), counts, blank, zero_infinity)
    if zero_infinity:
        losses = where(losses == _INF, 0.0, losses)
    if reduction in ("mean", 1):
        return (losses / counts.clamp(min=1).to(losses.dtype)).mean()
    if reduction in ("sum", 2):
        return losses.sum()
    return losses if is_batched else losses.squeeze(0)


def _as_list(lengths: Any) -> Lengths:
    values = lengths.tolist() if isinstance(lengths, Tensor) else lengths
    return [int(n) for n in (values if isinstance(values, (list, tuple)) else [values])]


def _check(log_probs: Tensor, frames: Lengths, labels: Lengths, blank: int) -> None:
    t, n, classes = log_probs.shape
    if not log_probs.numel():
        raise RuntimeError("log_probs tensor must not be empty")
    for name, lengths in (("input_lengths", frames), ("target_lengths", labels)):
        if len(lengths) != n:
            raise RuntimeError(f"ctc_loss: {name} must be of size batch_size")
        if min(lengths) < 0:
            raise RuntimeError(
                f"ctc_loss: Expected {name} to have value at least 0, but got value "
                f"{min(lengths)}")
    if max(frames) > t:
        raise RuntimeError(
            f"ctc_loss: Expected input_lengths to have value at most {t}, but got value "
            f"{max(frames)}")
    if not 0 <= blank < classes:
        raise RuntimeError("ctc_loss: blank must be in label range")


def _padded(targets: Any, labels: Lengths) -> Any:
    """Targets as (N, S) of int64."""
    targets = targets.to(dtypes.int64)
    longest = max(labels)
    if targets.ndim == 1 and len(labels) == 1:
        targets = targets.unsqueeze(0)
    if targets.ndim == 2:
        if targets.shape[1] < longest:
            raise RuntimeError(
                f"ctc_loss: Expected tensor to have size at least {longest} at dimension 1, but "
                f"got size {targets.shape[1]} for argument 'targets'")
        return targets[:, :longest]
    if targets.shape[0] != sum(labels):
        raise RuntimeError(
            f"ctc_loss: Expected tensor to have size {sum(labels)} at dimension 0, but got size "
            f"{targets.shape[0]} for argument 'targets'")
    rows = [cat([part, part.new_zeros(longest - part.shape[0])]) for part in targets.split(labels)]
    return stack(rows)
