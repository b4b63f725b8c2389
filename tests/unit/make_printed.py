"""Write printed.json: how PyTorch prints some tensors.  Needs torch 2.13.

Run ``python tests/unit/make_printed.py``.  A case is an expression over a library ``T``, print
options, and the text with ``torch`` written ``flambeau``.  test_printed.py evaluates the
expressions without torch.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import torch

PRINTED = Path(__file__).parent / "printed.json"
EXPRESSIONS = """
T.tensor(1.5)
T.tensor(-3)
T.tensor(True)
T.tensor(1 - 2j)
T.tensor([1.0, -20.0, 300.0])
T.tensor([1.0, float('inf'), float('nan'), -3.0])
T.tensor([0.5, float('inf'), -float('inf'), float('nan')])
T.tensor([float('nan'), float('inf')])
T.tensor([1.0, 1e9])
T.tensor([1.0, 2000.5])
T.tensor([1e-5, 0.5])
T.tensor([0.0, 1e-5])
T.tensor([-0.0, 1.0])
T.tensor([1e-120, -3e200], dtype=T.float64)
T.tensor([0.25, -1.0 / 3], dtype=T.float64)
T.tensor([0.25, -1.0 / 3], dtype=T.float16)
T.tensor([0.1, -3.0, 1e-3], dtype=T.bfloat16)
T.tensor([1.5 + 2j, -30.25 - 4j])
T.tensor([[1 + 2j, -3 - 40j]], dtype=T.complex128)
T.tensor([complex(float('nan'), 1), complex(0, -float('inf'))])
T.tensor([[True, False], [False, False]])
T.tensor([[1, -200], [30, 4]])
T.tensor([1, 2], dtype=T.int32)
T.tensor([1, 2], dtype=T.int16)
T.tensor([1, -2], dtype=T.int8)
T.arange(30).to(T.uint8)
T.zeros(3)
T.zeros(0)
T.zeros(0, dtype=T.float64)
T.zeros(0, 3)
T.zeros(2, 0, dtype=T.int64)
T.arange(40) * 0.37
T.arange(12).reshape(3, 4).t()
T.arange(24.0).reshape(2, 3, 4) / 7
T.arange(24.0).reshape(2, 2, 3, 2) / 7
T.arange(90.0).reshape(3, 30) / 7
T.arange(1001)
T.arange(2000.0)
T.arange(3000).reshape(3, 1000)
T.arange(3200.0).reshape(20, 8, 20) / 7
T.arange(2400.0).reshape(2, 3, 400)
(T.arange(1500) * (1 + 2j)).reshape(30, 50)
T.arange(2.0).requires_grad_()
T.arange(2.0).requires_grad_().exp()
(T.arange(14.0) / 7).requires_grad_()
T.empty(2, 3, device='meta')
T.empty(2, device='meta', dtype=T.int64)
T.empty((), device='meta').requires_grad_()
""".strip().splitlines()
OPTIONS = [
    {"precision": 2}, {"sci_mode": True}, {"sci_mode": False}, {"profile": "short"},
    {"linewidth": 50}, {"threshold": 5, "edgeitems": 1},
]  # fmt: skip


def printed(expression: str, options: dict[str, object]) -> dict[str, object]:
    with torch._tensor_str.printoptions(**options):
        text = repr(eval(expression, {"T": torch}))
    return {
        "expression": expression, "options": options,
        "text": text.replace("torch.", "flambeau."),
    }


def main() -> None:
    cases = [printed(e, {}) for e in EXPRESSIONS]
    cases += [printed(e, o) for e, o in itertools.product(EXPRESSIONS[::4], OPTIONS)]
    lines = ",\n".join(json.dumps(case) for case in cases)
    header = json.dumps({"torch": torch.__version__})
    PRINTED.write_text(f'{{"made_with": {header},\n"cases": [\n{lines}\n]}}\n')
    print(f"{len(cases)} cases written to {PRINTED.name}")


if __name__ == "__main__":
    main()
