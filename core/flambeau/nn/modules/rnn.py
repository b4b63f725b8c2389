"""Recurrent networks over whole sequences."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

import flambeau as fb
from flambeau.nn import init
from flambeau.nn.modules.module import Module
from flambeau.nn.parameter import Parameter
from flambeau.nn.utils.rnn import PackedSequence
from flambeau.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """What recurrent networks share.

    Per layer and direction: ``weight_ih_l{k}`` (gates * hidden_size, inputs), ``weight_hh_l{k}``
    (gates * hidden_size, hidden_size), ``bias_ih_l{k}``, ``bias_hh_l{k}``, and for an LSTM with
    ``proj_size`` ``weight_hr_l{k}`` (proj_size, hidden_size); the second direction's end in
    ``_reverse``.  All are drawn from U(-k, k) with ``k = 1 / sqrt(hidden_size)``.

    Args:
        num_layers: how many are stacked.
        batch_first: shapes are (N, L, *) in place of (L, N, *).
        dropout: between the layers, in training.
        bidirectional: read the sequence backwards too.
        proj_size: size of the projected hidden state, for LSTM.
    """

    _flat_weights_names: list[str]
    _all_weights: list[list[str]]

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1,
        bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
        bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mode, self.input_size, self.hidden_size = mode, input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional = float(dropout), bidirectional
        self.proj_size = proj_size
        _check_settings(self, dropout)
        self._all_weights = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[: self._directions]:
                self._add_weights(layer, f"_l{layer}{suffix}", device, dtype)
        self._flat_weights_names = [name for names in self._all_weights for name in names]
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _output_size(self) -> int:
        return self.proj_size if self.proj_size > 0 else self.hidden_size

    def _add_weights(self, layer: int, suffix: str, device: Any, dtype: Any) -> None:
        rows = _GATES[self.mode] * self.hidden_size
        inputs = self.input_size if layer == 0 else self._output_size * self._directions
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, inputs), "weight_hh": (rows, self._output_size)}
        if self.bias:
            shapes.update(bias_ih=(rows,), bias_hh=(rows,))
        if self.proj_size > 0:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        for name, shape in shapes.items():
            empty = fb.empty(shape, device=device, dtype=dtype)
            self.register_parameter(name + suffix, Parameter(empty))
        self._all_weights.append([name + suffix for name in shapes])

    @property
    def _flat_weights(self) -> list[Any]:
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters, one list per layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Does nothing: parameters need not lie in one piece of memory."""

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        for name, usual in (
            ("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False),
            ("dropout", 0), ("bidirectional", False),
        ):
            value = getattr(self, name)
            if value != usual:
                parts.append(f"{name}={value}")
        return ", ".join(parts)

    # ---- a call --------------------------------------------------------------------------
    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Check the dtype and the last dimension of the input.

        Raises:
            ValueError: for a dtype other than the parameters'.
            RuntimeError: for a wrong size.
        """
        first = self._flat_weights[0]
        if input.dtype is not first.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({first.dtype}). "
                f"Convert input: input.to({first.dtype}), or convert model: "
                f"model.to({input.dtype})")
        wanted = 2 if batch_sizes is not None else 3
        if input.dim() != wanted:
            raise RuntimeError(f"input must have {wanted} dimensions, got {input.dim()}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got "
                f"{input.size(-1)}")

    def get_expected_hidden_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """The shape (layers * directions, N, size) of the hidden state."""
        if batch_sizes is not None:
            batch = int(batch_sizes[0])
        else:
            batch = input.size(0) if self.batch_first else input.size(1)
        return self.num_layers * self._directions, batch, self._output_size

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple[int, int, int],
        msg: str = "Expected hidden size {}, got {}",
    ) -> None:
        """Check the shape of a hidden state.

        Raises:
            RuntimeError: with ``msg`` filled in.
        """
        if hx.size() != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Check all arguments of a call."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The hidden state with its batch in another order."""
        return hx if permutation is None else _permuted(hx, permutation)

    def _zeros(self, input: Tensor, batch: int, size: int) -> Tensor:
        zeros: Tensor = fb.zeros(
            self.num_layers * self._directions, batch, size, dtype=input.dtype,
            device=input.device)
        return zeros

    def _initial(self, input: Tensor, batch: int) -> Any:
        return self._zeros(input, batch, self._output_size)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Run over sequences.

        Args:
            input: (L, N, input_size), (N, L, input_size) if ``batch_first``, (L, input_size)
                without a batch, or a ``PackedSequence``.
            hx: hidden state (layers * directions, N, size), zeros if None; a pair for LSTM.

        Returns:
            the outputs of the last layer (as the input, last dimension directions * size), and
            the hidden state after the last step.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{self._family}: Expected input to be 2D or 3D, got {input.dim()}D tensor instead")
        is_batched = input.dim() == 3
        self._check_hidden_dims(hx, is_batched)
        batch_dim = 0 if self.batch_first else 1
        if not is_batched:
            input = input.unsqueeze(batch_dim)
            hx = None if hx is None else _each(hx, lambda h: h.unsqueeze(1))
        if hx is None:
            hx = self._initial(input, input.size(batch_dim))
        self.check_forward_args(input, hx, None)
        output, hidden = self._run(input, hx, None)
        if not is_batched:
            return output.squeeze(batch_dim), _each(hidden, lambda h: h.squeeze(1))
        return output, hidden

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> tuple[Any, Any]:
        data, batch_sizes, order, restore = packed
        if hx is None:
            hx = self._initial(data, int(batch_sizes[0]))
        else:
            hx = self.permute_hidden(hx, order)
        self.check_forward_args(data, hx, batch_sizes)
        output, hidden = self._run(data, hx, batch_sizes)
        return (
            PackedSequence(output, batch_sizes, order, restore),
            self.permute_hidden(hidden, restore))

    @property
    def _family(self) -> str:
        return self.mode.partition("_")[0]

    def _check_hidden_dims(self, hx: Any, is_batched: bool) -> None:
        wanted = 3 if is_batched else 2
        if hx is not None and hx.dim() != wanted:
            kind = "batched 3-D" if is_batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {kind} input, hx should also be {wanted}-D but got {hx.dim()}-D tensor")

    def _run(self, input: Tensor, hx: Any, batch_sizes: Tensor | None) -> tuple[Any, Any]:
        """The op of this mode."""
        op = getattr(fb, self.mode.lower())
        settings = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if batch_sizes is None:
            output, *hidden = op(input, hx, self._flat_weights, *settings, self.batch_first)
        else:
            output, *hidden = op(input, batch_sizes, hx, self._flat_weights, *settings)
        return output, tuple(hidden) if len(hidden) > 1 else hidden[0]


def _each(hx: Any, change: Any) -> Any:
    return tuple(change(h) for h in hx) if isinstance(hx, tuple) else change(hx)


def _permuted(hx: Any, permutation: Tensor) -> Any:
    return _each(hx, lambda h: h.index_select(1, permutation))


def _check_settings(module: RNNBase, dropout: Any) -> None:
    if (
        not isinstance(dropout, numbers.Number) or isinstance(dropout, bool)
        or not 0 <= dropout <= 1  # type: ignore[operator]
    ):
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element "
            "being zeroed")
    if dropout > 0 and module.num_layers == 1:  # type: ignore[operator]
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
            f"expects num_layers greater than 1, but got dropout={dropout} and num_layers=1",
            stacklevel=4)
    for name in ("input_size", "hidden_size"):
        value = getattr(module, name)
        if not isinstance(value, int):
            raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
    if module.hidden_size <= 0:
        raise ValueError("hidden_size must be greater than zero")
    if module.num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if module.proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if module.proj_size >= module.hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")
    if module.mode not in _GATES:
        raise ValueError(f"Unrecognized RNN mode: {module.mode}")


def _no_projection(kwargs: dict[str, Any]) -> None:
    if "proj_size" in kwargs:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


class RNN(RNNBase):
    """``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``, or ``relu`` by ``nonlinearity``.

    The constructor's arguments are those of the base after ``mode``, with ``nonlinearity`` after
    ``num_layers``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _no_projection(kwargs)
        if len(args) > 3:
            nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


class GRU(RNNBase):
    """Gated recurrent units; the gates are in the order reset, update, new."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _no_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)


class LSTM(RNNBase):
    """Long short-term memory; the gates are in the order input, forget, cell, output.

    The hidden state is a pair: h of ``proj_size`` (or ``hidden_size``), c of ``hidden_size``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def _initial(self, input: Tensor, batch: int) -> Any:
        return (
            self._zeros(input, batch, self._output_size),
            self._zeros(input, batch, self.hidden_size))

    def get_expected_cell_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """The shape (layers * directions, N, hidden_size) of the cell state."""
        layers, batch, _ = self.get_expected_hidden_size(input, batch_sizes)
        return layers, batch, self.hidden_size

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Check all arguments of a call."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(
            hidden[0], self.get_expected_hidden_size(input, batch_sizes),
            "Expected hidden[0] size {}, got {}")
        self.check_hidden_size(
            hidden[1], self.get_expected_cell_size(input, batch_sizes),
            "Expected hidden[1] size {}, got {}")

    def _check_hidden_dims(self, hx: Any, is_batched: bool) -> None:
        wanted = 3 if is_batched else 2
        if hx is not None and (hx[0].dim() != wanted or hx[1].dim() != wanted):
            kind = "batched 3-D" if is_batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {wanted}-D but got "
                f"({hx[0].dim()}-D, {hx[1].dim()}-D) tensors")
