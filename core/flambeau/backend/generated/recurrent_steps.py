"""Cells of recurrent networks: the elementwise part of a step, and its gradients, in one kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.layer_norm import given
from flambeau.backend.generated.rows import Part, RowKernels, Work, floating_of
from flambeau.codegen.kernels.rows import Let, Step, StoreRow
from flambeau.layout import Layout

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

_LOGISTIC: Final = "1 / (1 + exp(-({0})))"


def stores(**formulas: str) -> tuple[Step, ...]:
    """One element per row of several results."""
    return tuple(StoreRow(name, formula) for name, formula in formulas.items())


LSTM: Final[tuple[Step, ...]] = (
    Let("i", _LOGISTIC.format("xi + hi")), Let("f", _LOGISTIC.format("xf + hf")),
    Let("g", "tanh(xg + hg)"), Let("o", _LOGISTIC.format("xo + ho")),
    Let("c", "f * cell + i * g"),
    *stores(hidden="o * tanh(c)", after="c", ai="i", af="f", ag="g", ao="o"),
)
LSTM_GRADS: Final[tuple[Step, ...]] = (
    *stores(di="dc * g * i * (1 - i)", df="dc * cell * f * (1 - f)", dg="dc * i * (1 - g * g)",
            dcell="dc * f"),
)
GRU: Final[tuple[Step, ...]] = (
    Let("r", _LOGISTIC.format("xr + hr")), Let("z", _LOGISTIC.format("xz + hz")),
    Let("n", "tanh(xn + r * hn)"),
    *stores(after="n + z * (hidden - n)", ar="r", az="z", an="n", ah="hn"),
)
GRU_GRADS: Final[tuple[Step, ...]] = (
    Let("dn", "grad * (1 - z) * (1 - n * n)"), Let("dr", "dn * hn * r * (1 - r)"),
    Let("dz", "grad * (hidden - n) * z * (1 - z)"),
    *stores(xr="dr", xz="dz", xn="dn", hr="dr", hz="dz", dh="dn * r", before="grad * z"),
)


def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of the four ops."""
    cells, result = Cells(RowKernels(backend)), KernelTable()
    result.fresh["lstm_pointwise"] = cells.lstm
    result.fresh["lstm_pointwise_grads"] = cells.lstm_grads
    result.fresh["gru_pointwise"] = cells.gru
    result.fresh["gru_pointwise_grads"] = cells.gru_grads
    return result


def state_part(name: str, buffer: int, x: Strided | Layout) -> Part:
    """A tensor (rows, size)."""
    layout = x.layout if isinstance(x, Strided) else x
    return Part(name, buffer, layout.offset, tuple(layout.strides), ())


def gate_parts(names: str, buffer: int, x: Strided | Layout) -> list[Part]:
    """The gates in a tensor (rows, gates * size); their names with spaces in between."""
    layout, words = x.layout if isinstance(x, Strided) else x, names.split()
    step = layout.shape[1] // len(words) * layout.strides[1]
    return [Part(name, buffer, layout.offset + n * step, tuple(layout.strides), ())
            for n, name in enumerate(words)]


def _fit(state: Strided, gates: Sequence[tuple[Strided, int]], *others: Strided | None) -> bool:
    """Whether all belong to one state (rows, size): gates have a multiple of its size."""
    tensors = [t for t, _ in gates]
    return len(state.shape) == 2 and state.layout.numel > 0 and (
        len({t.dtype for t in given(state, *tensors, *others)}) == 1
    ) and floating_of(state) is not None and all(
        t.shape == (state.shape[0], count * state.shape[1]) for t, count in gates
    ) and all(o is None or o.shape == state.shape for o in others)


class Cells:
    """The four ops."""

    def __init__(self, rows: RowKernels) -> None:
        self.rows = rows

    def work(
        self, state: Strided, parts: Sequence[Part], steps: tuple[Step, ...],
        results: Sequence[Layout],
    ) -> Work:
        """Every element of a state is a row."""
        floating = floating_of(state) or "f32"
        return Work(parts, state.shape, (), steps, [(state.dtype, x) for x in results],
                    floating=floating)

    # ---- lstm --------------------------------------------------------------------------------
    def lstm(self, gates: Strided, recurrent: Strided, cell: Strided) -> Any:
        """Hidden state, cell state, activated gates."""
        if not _fit(cell, [(gates, 4), (recurrent, 4)]):
            return NotImplemented
        return self.rows.run("lstm_pointwise", None, (gates, recurrent, cell), (),
                             lambda: self._lstm(gates, recurrent, cell))

    def _lstm(self, gates: Strided, recurrent: Strided, cell: Strided) -> Work:
        rows, size = cell.shape
        state, acts = Layout.contiguous((rows, size)), Layout.contiguous((rows, 4 * size))
        return self.work(cell, [
            state_part("cell", 2, cell), *gate_parts("xi xf xg xo", 0, gates),
            *gate_parts("hi hf hg ho", 1, recurrent), state_part("hidden", 3, state),
            state_part("after", 4, state), *gate_parts("ai af ag ao", 5, acts)],
            LSTM, [state, state, acts])

    def lstm_grads(
        self, acts: Strided, cell: Strided, after: Strided, g_hidden: Strided | None,
        g_after: Strided | None,
    ) -> Any:
        """The gradients for gates and cell state."""
        if not _fit(cell, [(acts, 4)], after, g_hidden, g_after) or (
                g_hidden is None and g_after is None):
            return NotImplemented
        return self.rows.run(
            "lstm_pointwise_grads", (g_hidden is None, g_after is None),
            given(acts, cell, after, g_hidden, g_after), (),
            lambda: self._lstm_grads(acts, cell, after, g_hidden, g_after))

    def _lstm_grads(
        self, acts: Strided, cell: Strided, after: Strided, g_hidden: Strided | None,
        g_after: Strided | None,
    ) -> Work:
        rows, size = cell.shape
        state, gates = Layout.contiguous((rows, size)), Layout.contiguous((rows, 4 * size))
        parts = [state_part("cell", 1, cell), *gate_parts("i f g o", 0, acts),
                 state_part("after", 2, after)]
        buffer = 3
        for name, t in (("gh", g_hidden), ("gc", g_after)):
            if t is not None:
                parts.append(state_part(name, buffer, t))
                buffer += 1
        parts += [*gate_parts("di df dg do", buffer, gates), state_part("dcell", buffer + 1, state)]
        through = "gh * o * (1 - top * top)"
        dc = through if g_after is None else "gc" if g_hidden is None else f"gc + {through}"
        steps = (
            *(() if g_hidden is None else (Let("top", "tanh(after)"),)), Let("dc", dc),
            *LSTM_GRADS,
            StoreRow("do", "o * 0" if g_hidden is None else "gh * top * o * (1 - o)"))
        return self.work(cell, parts, steps, [gates, state])

    # ---- gru ---------------------------------------------------------------------------------
    def gru(self, gates: Strided, recurrent: Strided, hidden: Strided) -> Any:
        """The next hidden state; gates and the last one's recurrent part."""
        if not _fit(hidden, [(gates, 3), (recurrent, 3)]):
            return NotImplemented
        return self.rows.run("gru_pointwise", None, (gates, recurrent, hidden), (),
                             lambda: self._gru(gates, recurrent, hidden))

    def _gru(self, gates: Strided, recurrent: Strided, hidden: Strided) -> Work:
        rows, size = hidden.shape
        state, acts = Layout.contiguous((rows, size)), Layout.contiguous((rows, 4 * size))
        return self.work(hidden, [
            state_part("hidden", 2, hidden), *gate_parts("xr xz xn", 0, gates),
            *gate_parts("hr hz hn", 1, recurrent), state_part("after", 3, state),
            *gate_parts("ar az an ah", 4, acts)], GRU, [state, acts])

    def gru_grads(self, acts: Strided, hidden: Strided, g_after: Strided) -> Any:
        """The gradients for both products and the hidden state."""
        if not _fit(hidden, [(acts, 4)], g_after):
            return NotImplemented
        return self.rows.run("gru_pointwise_grads", None, (acts, hidden, g_after), (),
                             lambda: self._gru_grads(acts, hidden, g_after))

    def _gru_grads(self, acts: Strided, hidden: Strided, g_after: Strided) -> Work:
        rows, size = hidden.shape
        state, gates = Layout.contiguous((rows, size)), Layout.contiguous((rows, 3 * size))
        return self.work(hidden, [
            state_part("hidden", 1, hidden), *gate_parts("r z n hn", 0, acts),
            state_part("grad", 2, g_after), *gate_parts("xr xz xn", 3, gates),
            *gate_parts("hr hz dh", 4, gates), state_part("before", 5, state)],
            GRU_GRADS, [gates, gates, state])
