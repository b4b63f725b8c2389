"""Short-time Fourier transforms."""

from __future__ import annotations

from typing import Any

from flambeau.ops.complex import view_as_complex, view_as_real
from flambeau.ops.fft import NONE, ROOT, fft_complex, fft_half, fft_real
from flambeau.ops.pad import pad
from flambeau.tensor import Tensor


def _window(
    name: str, window: Tensor | None, length: int, n_fft: int, like: Tensor
) -> Any:
    """The window in the middle of ``n_fft`` points.

    Raises:
        RuntimeError: for one of another length.
    """
    if not 0 < length <= n_fft:
        raise RuntimeError(f"{name}: expected 0 < win_length <= n_fft, but got "
                           f"win_length={length}")
    if window is None:
        window = like.new_ones(length, dtype=like.dtype.to_real())
    elif window.ndim != 1 or window.shape[0] != length:
        raise RuntimeError(
            f"{name}: expected a 1D window tensor of size equal to win_length={length}, but got "
            f"window with size {list(window.shape)}")
    left = (n_fft - length) // 2
    return pad(window, [left, n_fft - length - left]) if length < n_fft else window


def stft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
    window: Tensor | None = None, center: bool = True, pad_mode: str = "reflect",
    normalized: bool = False, onesided: bool | None = None,
    return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Any:
    """The Fourier transforms of stretches of a signal.

    Args:
        input: signals (T) or (B, T), real or complex.
        n_fft: points of each transform.
        hop_length: from one stretch to the next; a quarter of ``n_fft`` if None.
        win_length: points of the window; ``n_fft`` if None.
        window: multiplied with each stretch; ones if None.
        center: pad the signal so that stretch t is centred at ``t * hop_length``.
        pad_mode: how, as in ``nn.functional.pad``.
        normalized: divide by the root of ``n_fft``.
        onesided: only the half that real signals have; by default for real signals and windows.
        return_complex: must be True for real signals; False gives pairs of real numbers.
        align_to_window: without ``center``: stretches are as long as the window, not as ``n_fft``.

    Returns:
        (B?, frequencies, stretches).

    Raises:
        RuntimeError: for sizes that do not fit, or if ``return_complex`` is not given.
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    is_complex = input.dtype.is_complex or (window is not None and window.dtype.is_complex)
    if return_complex is None:
        if not is_complex:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will "
                "further require that return_complex=True in a future PyTorch release.")
        return_complex = True
    if align_to_window is not None and center:
        raise RuntimeError("stft: align_to_window should only be set when center = false.")
    if input.dtype.category < 2:
        raise RuntimeError("stft: expected a tensor of floating point or complex values")
    if input.ndim not in (1, 2):
        raise RuntimeError("stft: expected a 1D or 2D tensor")
    x = input.unsqueeze(0) if input.ndim == 1 else input
    if center:
        x = pad(x.unsqueeze(1), [n_fft // 2, n_fft // 2], mode=pad_mode).squeeze(1)
    size = x.shape[-1]
    if not 0 < n_fft <= size:
        raise RuntimeError(f"stft: expected 0 < n_fft <= {size}, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(f"stft: expected hop_length > 0, but got hop_length={hop}")
    whole = _window("stft", window, length, n_fft, input)
    framed = x.unfold(-1, n_fft, hop) * whole
    onesided = not is_complex if onesided is None else onesided
    if onesided and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    scale = ROOT if normalized else NONE
    if onesided:
        result = fft_half(framed, [framed.ndim - 1], scale)
    else:
        framed = framed if framed.dtype.is_complex else framed.to(framed.dtype.to_complex())
        result = fft_complex(framed, [framed.ndim - 1], scale, True)
    result = result.transpose(1, 2)
    result = result.squeeze(0) if input.ndim == 1 else result
    return result if return_complex else view_as_real(result.contiguous())


def istft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
    window: Tensor | None = None, center: bool = True, normalized: bool = False,
    onesided: bool | None = None, length: int | None = None, return_complex: bool = False,
) -> Any:
    """The signal whose ``stft`` is given: stretches added up, divided by the sum of the windows'
    squares (D. Griffin and J. Lim, Signal estimation from modified short-time Fourier transform).

    Raises:
        RuntimeError: if some point is under no window, or sizes do not fit.
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    points = n_fft if win_length is None else win_length
    if not input.dtype.is_complex:
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            "return_complex=True.")
    if input.ndim not in (2, 3):
        raise RuntimeError(f"istft: expected a tensor with 2 or 3 dimensions, got {input.ndim}")
    x = input.unsqueeze(0) if input.ndim == 2 else input
    frames, frequencies = x.shape[2], x.shape[1]
    onesided = frequencies != n_fft if onesided is None else onesided
    if frequencies != (n_fft // 2 + 1 if onesided else n_fft):
        raise RuntimeError(
            f"istft: expected the frequency dimension (3rd to the last) of the input tensor to "
            f"match n_fft, but got {frequencies}")
    if not 0 < hop <= points:
        raise RuntimeError(f"istft: expected 0 < hop_length <= win_length, got {hop}")
    real_window = input.new_ones(points, dtype=input.dtype.to_real()) if window is None else window
    whole = _window("istft", real_window, points, n_fft, input)
    scale = ROOT if normalized else 2
    stretches = x.transpose(1, 2)
    if return_complex:
        stretches = fft_complex(stretches, [2], scale, False)
    else:
        half = stretches if onesided else stretches[..., : n_fft // 2 + 1]
        stretches = fft_real(half, [2], scale, n_fft)
    signal = _added(stretches * whole, hop)
    weights = _added((whole * whole).expand(1, frames, n_fft), hop)
    expected = n_fft + hop * (frames - 1)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else expected - n_fft // 2 if center else expected
    signal, weights = (t[:, start : min(end, expected)] for t in (signal, weights))
    if bool((weights.abs() < 1e-11).any()):
        raise RuntimeError("istft: window overlap add min: 1, and some points are under no window")
    signal = signal / weights
    if end > expected:
        signal = pad(signal, [0, end - expected])
    return signal.squeeze(0) if input.ndim == 2 else signal


def _added(stretches: Tensor, hop: int) -> Any:
    """Stretches (B, frames, n) added up where they overlap."""
    batch, frames, n = stretches.shape
    if stretches.dtype.is_complex:
        both = view_as_real(stretches.contiguous())
        parts = [_added(both[..., i], hop) for i in (0, 1)]
        from flambeau.ops.join import stack

        return view_as_complex(stack(parts, -1))
    from flambeau.registry import OPS

    total = n + hop * (frames - 1)
    fold = OPS["fold"].function
    folded = fold(stretches.transpose(1, 2), (1, total), (1, n), stride=(1, hop))
    return folded.reshape(batch, total)


setattr(Tensor, "stft", stft)  # noqa: B010
setattr(Tensor, "istft", istft)  # noqa: B010
