"""Recurrent networks, one step at a time."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.nn import init
from flambeau.nn.modules.module import Module
from flambeau.nn.parameter import Parameter
from flambeau.tensor import Tensor

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


class RNNCellBase(Module):
    """What the cells share.

    ``weight_ih`` (gates * hidden_size, input_size), ``weight_hh`` (gates * hidden_size,
    hidden_size), ``bias_ih``, ``bias_hh``, drawn from U(-k, k), ``k = 1 / sqrt(hidden_size)``.
    """

    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int,
        device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size

        def empty(*shape: int) -> Parameter:
            return Parameter(fb.empty(shape, device=device, dtype=dtype))

        self.weight_ih = empty(rows, input_size)
        self.weight_hh = empty(rows, hidden_size)
        self.register_parameter("bias_ih", empty(rows) if bias else None)
        self.register_parameter("bias_hh", empty(rows) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        nonlinearity = self.__dict__.get("nonlinearity", "tanh")
        return text if nonlinearity == "tanh" else f"{text}, nonlinearity={nonlinearity}"

    def _weights(self) -> tuple[Any, ...]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _check_dims(self, input: Tensor, states: dict[str, Tensor]) -> None:
        own = type(self).__name__
        for name, t in {"input": input, **states}.items():
            if t.dim() not in (1, 2):
                raise ValueError(
                    f"{own}: Expected {name} to be 1D or 2D, got {t.dim()}D instead")

    def _with_batch(
        self, input: Tensor, hx: Tensor | None, number: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Input and state as matrices; a missing state is zero."""
        batched = input.dim() == 2
        rows = input if batched else input.unsqueeze(0)
        if hx is None:
            state = fb.zeros(
                rows.size(0), self.hidden_size, dtype=input.dtype, device=input.device)
        else:
            state = hx if batched else hx.unsqueeze(0)
        self._check_sizes(rows, state, number)
        return rows, state

    def _check_sizes(self, input: Tensor, state: Tensor, number: int) -> None:
        if input.size(1) != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {input.size(1)} expected "
                f"{self.input_size}")
        if input.size(0) != state.size(0):
            raise RuntimeError(
                f"Input batch size {input.size(0)} doesn't match hidden{number} batch size "
                f"{state.size(0)}")
        if state.size(1) != self.hidden_size:
            raise RuntimeError(
                f"hidden{number} has inconsistent hidden_size: got {state.size(1)}, expected "
                f"{self.hidden_size}")


class RNNCell(RNNCellBase):
    """``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``, or ``relu``."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Shapes (N, input_size) and (N, hidden_size), or without N."""
        self._check_dims(input, {} if hx is None else {"hidden": hx})
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        cell = fb.rnn_tanh_cell if self.nonlinearity == "tanh" else fb.rnn_relu_cell
        out: Tensor = cell(*self._with_batch(input, hx), *self._weights())
        return out if input.dim() == 2 else out.squeeze(0)


class GRUCell(RNNCellBase):
    """A gated recurrent unit; the gates are in the order reset, update, new."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Shapes (N, input_size) and (N, hidden_size), or without N."""
        self._check_dims(input, {} if hx is None else {"hidden": hx})
        out: Tensor = fb.gru_cell(*self._with_batch(input, hx), *self._weights())
        return out if input.dim() == 2 else out.squeeze(0)


class LSTMCell(RNNCellBase):
    """Long short-term memory; the gates are in the order input, forget, cell, output."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Shapes (N, input_size) and twice (N, hidden_size), or without N; gives (h, c)."""
        given = {} if hx is None else {f"hx[{i}]": h for i, h in enumerate(hx)}
        self._check_dims(input, given)
        h, c = (None, None) if hx is None else hx
        rows, hidden = self._with_batch(input, h)
        _, cell = self._with_batch(input, c, 1)
        out, state = fb.lstm_cell(rows, (hidden, cell), *self._weights())
        return (out, state) if input.dim() == 2 else (out.squeeze(0), state.squeeze(0))
