"""What is written for TensorBoard: read back from its files."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau as fb
from flambeau.utils.tensorboard import FileWriter, SummaryWriter

# protobuf's own: its C code sets what this Python deprecates
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def protocol() -> Any:
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto import event_pb2

    return event_pb2


@pytest.fixture
def events(tmp_path: Path, protocol: Any) -> Any:
    """All summaries under the folder, as ``{tag: [(step, value)]}``."""

    def read() -> dict[str, list[tuple[int, Any]]]:
        found: dict[str, list[tuple[int, Any]]] = {}
        for path in sorted(tmp_path.rglob("events*")):
            data = path.read_bytes()
            while data:
                (length,) = struct.unpack("<Q", data[:8])
                event = protocol.Event.FromString(data[12 : 12 + length])
                data = data[12 + length + 4 :]
                for value in event.summary.value:
                    found.setdefault(value.tag, []).append((event.step, value))
        return found

    return read


def test_numbers(tmp_path: Path, events: Any) -> None:
    with SummaryWriter(tmp_path) as writer:
        assert writer.get_logdir() == writer.log_dir == str(tmp_path)
        for step in range(3):
            loss = fb.tensor(float(step), requires_grad=True) / 2
            writer.add_scalar("loss", loss, step)
        writer.add_scalar("half", fb.tensor(1.5, dtype=fb.bfloat16), 4)
        writer.add_scalar("new", 0.1, 5, new_style=True, double_precision=True)
        writer.add_scalars("both", {"a": fb.tensor(1.0), "b": 2.0}, 6)
    found = events()
    assert [(s, v.simple_value) for s, v in found["loss"]] == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert found["half"][0][1].simple_value == 1.5
    (step, value) = found["new"][0]
    assert (step, value.metadata.plugin_data.plugin_name) == (5, "scalars")
    assert np.frombuffer(value.tensor.tensor_content, np.float64).tolist() == [0.1]
    assert sorted(v.simple_value for _, v in found["both"]) == [1.0, 2.0]


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.int64, fb.uint8, fb.bool, fb.float16])
def test_tensors(tmp_path: Path, events: Any, dtype: fb.dtype) -> None:
    x = fb.arange(6).reshape(2, 3).to(dtype)
    with SummaryWriter(tmp_path) as writer:
        writer.add_tensor("x", x.t(), 1)
    held = events()["x"][0][1].tensor
    assert [d.size for d in held.tensor_shape.dim] == [3, 2]
    again = np.frombuffer(held.tensor_content, x.numpy().dtype).reshape(3, 2)
    assert (again == x.t().numpy()).all()


def test_distributions_and_curves(tmp_path: Path, events: Any) -> None:
    fb.manual_seed(0)
    with SummaryWriter(tmp_path) as writer:
        values = fb.randn(100)
        writer.add_histogram("h", values, 1, bins="auto")
        writer.add_histogram_raw("r", 0.0, 2.0, 3, 3.0, 5.0, [1.0, 2.0], fb.tensor([1, 2]), 2)
        writer.add_pr_curve("pr", fb.rand(20) > 0.5, fb.rand(20), 3)
        writer.add_pr_curve_raw("raw", *[fb.rand(5) for _ in range(6)], 4, num_thresholds=5)
    found = events()
    histogram = found["h"][0][1].histo
    assert histogram.num == 100
    assert histogram.sum == pytest.approx(values.sum().item(), abs=1e-4)
    assert list(found["r"][0][1].histo.bucket) == [1.0, 2.0]
    for tag in ("pr", "raw"):
        assert found[tag][0][1].metadata.plugin_data.plugin_name == "pr_curves"


def test_pictures_and_texts(tmp_path: Path, events: Any) -> None:
    pytest.importorskip("PIL")
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("one", fb.rand(3, 4, 5), 1)
        writer.add_images("many", fb.rand(2, 3, 4, 5), 2)
        writer.add_image_with_boxes("boxes", fb.rand(3, 8, 8), fb.tensor([[1.0, 1.0, 5.0, 6.0]]), 3)
        writer.add_text("note", "some *words*", 4)
        writer.add_custom_scalars({"c": {"all": ["Multiline", ["a", "b"]]}})
    found = events()
    image = found["one"][0][1].image
    assert (image.height, image.width, image.colorspace) == (4, 5, 3)
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert found["many"][0][1].image.width == 10
    assert found["boxes"][0][1].image.height == 8
    assert found["note/text_summary"][0][1].tensor.string_val == [b"some *words*"]


def test_figures(tmp_path: Path, events: Any) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(2, 1), dpi=50)
    with SummaryWriter(tmp_path) as writer:
        writer.add_figure("f", figure, 1)
    assert events()["f"][0][1].image.width == 100
    assert pyplot.get_fignums() == []


def test_spaces(tmp_path: Path, events: Any) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_mesh("m", fb.rand(1, 4, 3), faces=fb.randint(0, 4, (1, 2, 3)))
        writer.add_embedding(fb.rand(3, 2), metadata=["a", "b", "c"], global_step=1)
    assert any(tag.startswith("m") for tag in events())
    assert len((tmp_path / "00001" / "default" / "tensors.tsv").read_text().splitlines()) == 3


def test_hyperparameters(tmp_path: Path, events: Any) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"lr": 0.1, "kind": "sgd"}, {"acc": fb.tensor(0.5)}, run_name="first")
        with pytest.raises(ValueError, match="hparam_domain_discrete"):
            writer.add_hparams({"lr": 0.1}, {}, {"lr": [0.2, 0.3]})
        with pytest.raises(TypeError, match="dictionary"):
            writer.add_hparams([], {})
    assert events()["acc"][0][1].simple_value == 0.5
    assert (tmp_path / "first").is_dir()


def test_a_file_of_events(tmp_path: Path, events: Any, protocol: Any) -> None:
    writer = FileWriter(tmp_path, filename_suffix=".mine")
    event = protocol.Event(summary={"value": [{"tag": "x", "simple_value": 2.0}]})
    writer.add_summary(event.summary, 3)
    writer.flush()
    writer.close()
    assert writer.get_logdir() == str(tmp_path)
    assert [(s, v.simple_value) for s, v in events()["x"]] == [(3, 2.0)]
    assert next(tmp_path.glob("events*")).name.endswith(".mine")


def test_without_the_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    for kind in (SummaryWriter, FileWriter):
        with pytest.raises(ModuleNotFoundError, match=r"flambeau\[tensorboard\]"):
            kind(tmp_path)


def test_the_package_is_imported_late() -> None:
    code = "import sys, flambeau.utils.tensorboard as t; assert 'tensorboardX' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
