"""The path of a call: promotion, devices, modes, errors, out=, in-place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flambeau as fb
from flambeau import dtypes
from flambeau.modes import DispatchMode

NAMES = [d.name for d in dtypes.ALL]


def name_of(dtype: Any) -> str:
    """The name of torch's dtype; its half-precision complex type is single here."""
    return str(dtype).split(".")[1].replace("complex32", "complex64")


def test_promotion_table_is_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    for a in NAMES:
        for b in NAMES:
            want = torch.promote_types(getattr(torch, a), getattr(torch, b))
            got = fb.promote_types(getattr(fb, a), getattr(fb, b))
            assert got.name == str(want).split(".")[1], (a, b)


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("a", NAMES)
def test_result_types_of_mixed_operands_are_pytorchs(a: str) -> None:
    torch = pytest.importorskip("torch")
    for b in NAMES:
        for left, right in ((2, 2), (2, 0), (0, 2)):
            pair = [
                T.ones((3,) * (left > 0), dtype=getattr(T, a))
                * T.ones((3,) * (right > 0), dtype=getattr(T, b))
                for T in (fb, torch)
            ]
            assert pair[0].dtype.name == name_of(pair[1].dtype), (a, b, left, right)
    for number in (True, 3, 2.5, 1j):
        pair = [T.ones(3, dtype=getattr(T, a)) * number for T in (fb, torch)]
        assert pair[0].dtype.name == name_of(pair[1].dtype), (a, number)


def test_integer_numbers_wrap_around() -> None:
    x = fb.tensor([250], dtype=fb.uint8)
    assert (x + 300).tolist() == [(250 + 300) % 256]
    assert (x + -1).tolist() == [249]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fb.ones(2, 3) + fb.ones(2, 4), RuntimeError,
         r"size of tensor a \(3\) must match the size of tensor b \(4\).*dimension 1"),
        (lambda: fb.exp("x"), TypeError, r"exp\(\): argument 'input' \(position 1\) must be "
         "Tensor, not str"),
        (lambda: fb.ones(2).transpose("a", 0), TypeError,
         r"transpose\(\): argument 'dim0' \(position 2\) must be int, not str"),
        (lambda: fb.ones(2) + "x", TypeError, "unsupported operand"),
        (lambda: fb.add(fb.ones(2), "x"), TypeError, "must be Tensor or Number, not str"),
        (lambda: fb.ones(2, 3).sum(5), IndexError, "Dimension out of range"),
        (lambda: fb.ones(2, 3).sum(keepdimm=True), TypeError, "unexpected keyword"),
        (lambda: fb.ones(2, 3) @ fb.ones(2, 3), RuntimeError, r"\(2x3 and 2x3\)"),
        (lambda: fb.ones(2) @ fb.ones(2, dtype=fb.float64), RuntimeError, "same dtype"),
        (lambda: -fb.ones(2, dtype=fb.bool), RuntimeError, "logical_not"),
        (lambda: fb.ones(2, device="meta") + fb.ones(2), RuntimeError, "same device"),
        (lambda: fb.ones(3).to("nosuch"), RuntimeError, "nosuch"),
        (lambda: fb.ones(3, device="cpu:x"), RuntimeError, "Invalid device string"),
        (lambda: fb.zeros(-1), RuntimeError, "negative dimension"),
        (lambda: fb.zeros(1.5), TypeError, "int"),
        (lambda: fb.tensor([[1, 2], [3]]), ValueError, "expected sequence of length 2"),
        (lambda: fb.tensor(["a"]), ValueError, "too many dimensions 'str'"),
        (lambda: fb.from_numpy(np.array(["a"])), TypeError, "can't convert np.ndarray of type"),
        (lambda: fb.from_numpy(np.ones(4)[::-1]), ValueError, "negative"),
        (lambda: bool(fb.ones(2)), RuntimeError, "more than one value is ambiguous"),
        (lambda: fb.ones(2).item(), RuntimeError, "2 elements cannot be converted to Scalar"),
        (lambda: len(fb.ones(())), TypeError, "0-d tensor"),
        (lambda: fb.empty(2, device="meta").tolist(), NotImplementedError, "no data"),
    ],
)
def test_bad_input_is_refused_with_words_that_help(
    call: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        call()
    assert (fb.ones(2) + 1).tolist() == [2, 2]  # nothing is lost, the next call works


def test_out_writes_converts_and_resizes() -> None:
    out = fb.empty(3, dtype=fb.float64)
    assert fb.add(fb.ones(3), 1, out=out) is out
    assert out.tolist() == [2, 2, 2] and out.dtype is fb.float64
    grown = fb.empty(0)
    fb.mul(fb.ones(2, 2), 3, out=grown)
    assert grown.shape == (2, 2)
    with pytest.warns(UserWarning, match="resized"):
        fb.mul(fb.ones(4), 3, out=grown)
    with pytest.raises(RuntimeError, match="can't be cast"):
        fb.add(fb.ones(2), 1, out=fb.empty(2, dtype=fb.int64))


def test_out_may_be_an_input() -> None:
    x = fb.arange(6.0).view(2, 3)
    fb.add(x, x, out=x)
    assert x.tolist() == [[0, 2, 4], [6, 8, 10]]


def test_inplace_keeps_dtype_and_shape() -> None:
    x = fb.ones(3, dtype=fb.float32)
    before = x.data_ptr() if hasattr(x, "data_ptr") else None
    x += fb.ones(3, dtype=fb.float64)
    assert x.dtype is fb.float32 and x.tolist() == [2, 2, 2]
    assert before is None or x.data_ptr() == before
    with pytest.raises(RuntimeError, match="can't be cast"):
        fb.ones(3, dtype=fb.int64).add_(0.5)
    with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
        fb.ones(3).add_(fb.ones(2, 3))


def test_inplace_with_overlapping_input_reads_before_it_writes() -> None:
    x = fb.arange(5.0)
    x.narrow(0, 1, 4).add_(x.narrow(0, 0, 4))
    assert x.tolist() == [0, 1, 3, 5, 7]


class Recorder(DispatchMode):
    """Notes the ops it sees and lets them run."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def handle(self, op: Any, args: tuple[Any, ...]) -> Any:
        self.seen.append(op.name)
        return NotImplemented


def test_modes_see_every_call_and_only_while_they_are_on() -> None:
    x = fb.ones(2, 2)
    (x + x).sum()
    with Recorder() as recorder:
        x.add(1).t().sum()
    x.exp()
    assert recorder.seen == ["add", "t", "sum"]


def test_a_mode_may_answer_for_the_op() -> None:
    class Answer(DispatchMode):
        def handle(self, op: Any, args: tuple[Any, ...]) -> Any:
            return args[0] * 10 if op.name == "exp" else NotImplemented

    with Answer():
        assert fb.ones(1).exp().tolist() == [10]


def test_modes_belong_to_their_thread() -> None:
    import threading

    seen: list[list[float]] = []
    with Recorder() as recorder:
        thread = threading.Thread(target=lambda: seen.append(fb.ones(1).exp().tolist()))
        thread.start()
        thread.join()
    assert seen and recorder.seen == []


def test_memory_order_is_kept_by_elementwise_ops() -> None:
    x = fb.ones(2, 3, 4, 5).contiguous(memory_format=fb.channels_last)
    for y in (x + 1, x.exp(), x * x, x.clone()):
        assert y.is_contiguous(memory_format=fb.channels_last)
    assert not x.contiguous().is_contiguous(memory_format=fb.channels_last)


def test_meta_gives_shapes_and_dtypes_without_data() -> None:
    x = fb.empty(64, 784, device="meta")
    y = (x @ fb.empty(784, 10, device="meta")).sum(1, keepdim=True) > 0
    assert y.shape == (64, 1) and y.dtype is fb.bool and str(y.device) == "meta"
