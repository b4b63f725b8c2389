"""What a training wants to show: numbers, pictures, curves, over its steps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from flambeau.utils.tensorboard.host import on_host, tensor_summary, tensorboardx

Step = int | None
Time = float | None


class SummaryWriter:
    """Writes to a folder what TensorBoard shows.  Tensors may be on any device.

    Args:
        log_dir: the folder; ``runs/DATE_HOST`` with the comment behind it by default.
        comment: see ``log_dir``.
        purge_step: events of this step and later in the folder are not shown, after a crash.
        max_queue: how many events may wait before the next one does.
        flush_secs: after how many seconds they are written at the latest.
        filename_suffix: what the names of files end in.

    Raises:
        ModuleNotFoundError: if tensorboardX is not installed; the message names the extra.
    """

    def __init__(
        self, log_dir: str | os.PathLike[str] | None = None, comment: str = "",
        purge_step: int | None = None, max_queue: int = 10, flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        folder = None if log_dir is None else os.fspath(log_dir)
        self._writer = tensorboardx().SummaryWriter(
            folder, comment, purge_step, max_queue, flush_secs, filename_suffix)
        self.log_dir: str = self._writer.logdir
        self.purge_step, self.max_queue = purge_step, max_queue
        self.flush_secs, self.filename_suffix = flush_secs, filename_suffix

    def get_logdir(self) -> str:
        """The folder."""
        return self.log_dir

    def flush(self) -> None:
        """Write what waits."""
        for writer in (self._writer.all_writers or {}).values():
            writer.flush()

    def close(self) -> None:
        """Write what waits, and close the files; what is added later opens new ones."""
        self._writer.close()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    # ---- numbers -------------------------------------------------------------------------------
    def add_scalar(
        self, tag: str, scalar_value: Any, global_step: Step = None, walltime: Time = None,
        new_style: bool = False, double_precision: bool = False,
    ) -> None:
        """Add a number, as a point of the curve ``tag``.

        Args:
            new_style: as a tensor, which TensorBoard reads faster, of float64 if
                ``double_precision``.
        """
        value = on_host(scalar_value)
        if not new_style:
            self._writer.add_scalar(tag, value, global_step, walltime)
            return
        import numpy as np

        number = np.asarray(value, np.float64 if double_precision else np.float32).reshape(())
        self._add(tensor_summary(tag, number, "scalars"), global_step, walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: Mapping[str, Any], global_step: Step = None,
        walltime: Time = None,
    ) -> None:
        """Add points of several curves that are shown together; each has a folder of its own."""
        self._writer.add_scalars(main_tag, on_host(dict(tag_scalar_dict)), global_step, walltime)

    def add_tensor(
        self, tag: str, tensor: Any, global_step: Step = None, walltime: Time = None
    ) -> None:
        """Add all elements of a tensor."""
        self._add(tensor_summary(tag, tensor, "tensor"), global_step, walltime)

    def add_histogram(
        self, tag: str, values: Any, global_step: Step = None, bins: Any = "tensorflow",
        walltime: Time = None, max_bins: int | None = None,
    ) -> None:
        """Add how values are distributed.

        Args:
            bins: "tensorflow" (limits that grow by a tenth), or what ``numpy.histogram`` takes.
        """
        self._writer.add_histogram(tag, on_host(values), global_step, bins, walltime, max_bins)

    def add_histogram_raw(
        self, tag: str, min: float, max: float, num: float, sum: float, sum_squares: float,
        bucket_limits: Any, bucket_counts: Any, global_step: Step = None, walltime: Time = None,
    ) -> None:
        """Add a histogram that has been counted; ``bucket_limits`` are the upper ones."""
        self._writer.add_histogram_raw(
            tag, min, max, num, sum, sum_squares, on_host(bucket_limits), on_host(bucket_counts),
            global_step, walltime)

    def add_pr_curve(
        self, tag: str, labels: Any, predictions: Any, global_step: Step = None,
        num_thresholds: int = 127, weights: Any = None, walltime: Time = None,
    ) -> None:
        """Add precision over recall of probabilities ``predictions`` of what ``labels`` says."""
        self._writer.add_pr_curve(
            tag, on_host(labels), on_host(predictions), global_step, num_thresholds,
            on_host(weights), walltime)

    def add_pr_curve_raw(
        self, tag: str, true_positive_counts: Any, false_positive_counts: Any,
        true_negative_counts: Any, false_negative_counts: Any, precision: Any, recall: Any,
        global_step: Step = None, num_thresholds: int = 127, weights: Any = None,
        walltime: Time = None,
    ) -> None:
        """Add precision over recall that has been counted, one value per threshold."""
        counts = (
            true_positive_counts, false_positive_counts, true_negative_counts,
            false_negative_counts, precision, recall)
        self._writer.add_pr_curve_raw(
            tag, *map(on_host, counts), global_step, num_thresholds, on_host(weights), walltime)

    def add_hparams(
        self, hparam_dict: dict[str, Any], metric_dict: dict[str, Any],
        hparam_domain_discrete: dict[str, list[Any]] | None = None, run_name: str | None = None,
        global_step: Step = None,
    ) -> None:
        """Add hyperparameters with what they led to, as a run of its own.

        Args:
            hparam_domain_discrete: the values that hyperparameters could have had; those given
                must be among them.  They are not written.
            run_name: the folder of the run in that of this writer; the time of day by default.

        Raises:
            TypeError: for what is no dictionary.
            ValueError: for a hyperparameter outside of its domain.
        """
        for name, values in (hparam_domain_discrete or {}).items():
            if name not in hparam_dict or hparam_dict[name] not in values:
                raise ValueError(
                    f"hparam_domain_discrete[{name!r}] = {values!r} does not hold the value in "
                    "hparam_dict")
        self._writer.add_hparams(
            on_host(hparam_dict), on_host(metric_dict), run_name, global_step)

    # ---- pictures, sounds, texts ---------------------------------------------------------------
    def add_image(
        self, tag: str, img_tensor: Any, global_step: Step = None, walltime: Time = None,
        dataformats: str = "CHW",
    ) -> None:
        """Add a picture: uint8, or floating point in [0, 1].

        Args:
            dataformats: the order of dimensions, such as "CHW", "HWC", "HW".
        """
        self._writer.add_image(tag, on_host(img_tensor), global_step, walltime, dataformats)

    def add_images(
        self, tag: str, img_tensor: Any, global_step: Step = None, walltime: Time = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Add a batch of pictures."""
        self._writer.add_images(tag, on_host(img_tensor), global_step, walltime, dataformats)

    def add_image_with_boxes(
        self, tag: str, img_tensor: Any, box_tensor: Any, global_step: Step = None,
        walltime: Time = None, rescale: float = 1, dataformats: str = "CHW",
        labels: Sequence[str] | None = None,
    ) -> None:
        """Add a picture with frames, each (xmin, ymin, xmax, ymax)."""
        self._writer.add_image_with_boxes(
            tag, on_host(img_tensor), on_host(box_tensor), global_step, walltime, dataformats,
            labels, rescale=rescale)

    def add_figure(
        self, tag: str, figure: Any, global_step: Step = None, close: bool = True,
        walltime: Time = None,
    ) -> None:
        """Add a figure of matplotlib, or several; they are closed."""
        self._writer.add_figure(tag, figure, global_step, close, walltime)

    def add_video(
        self, tag: str, vid_tensor: Any, global_step: Step = None, fps: float = 4,
        walltime: Time = None,
    ) -> None:
        """Add videos (N, T, C, H, W): uint8, or floating point in [0, 1].  Needs moviepy."""
        self._writer.add_video(tag, on_host(vid_tensor), global_step, fps, walltime)

    def add_audio(
        self, tag: str, snd_tensor: Any, global_step: Step = None, sample_rate: int = 44100,
        walltime: Time = None,
    ) -> None:
        """Add a sound of one channel (1, L) in [-1, 1].  Needs soundfile."""
        self._writer.add_audio(tag, on_host(snd_tensor), global_step, sample_rate, walltime)

    def add_text(
        self, tag: str, text_string: str, global_step: Step = None, walltime: Time = None
    ) -> None:
        """Add a text in Markdown."""
        self._writer.add_text(tag, text_string, global_step, walltime)

    # ---- spaces --------------------------------------------------------------------------------
    def add_embedding(
        self, mat: Any, metadata: Any = None, label_img: Any = None, global_step: Step = None,
        tag: str = "default", metadata_header: Any = None,
    ) -> None:
        """Add points (N, D), with a label or a picture (N, C, H, W) each."""
        self._writer.add_embedding(
            on_host(mat), on_host(metadata), on_host(label_img), global_step, tag, metadata_header)

    def add_mesh(
        self, tag: str, vertices: Any, colors: Any = None, faces: Any = None,
        config_dict: dict[str, Any] | None = None, global_step: Step = None,
        walltime: Time = None,
    ) -> None:
        """Add points (B, N, 3) in space, with colors, or faces (B, F, 3) between them."""
        self._writer.add_mesh(
            tag, on_host(vertices), on_host(colors), on_host(faces), config_dict, global_step,
            walltime)

    def add_onnx_graph(self, prototxt: str) -> None:
        """Add the graph of a file of ONNX.  Needs onnx."""
        self._writer.add_onnx_graph(prototxt)

    # ---- layout --------------------------------------------------------------------------------
    def add_custom_scalars(self, layout: dict[str, dict[str, list[Any]]]) -> None:
        """Say how curves are to be grouped: ``{category: {chart: [kind, tags]}}``."""
        self._writer.add_custom_scalars(layout)

    def add_custom_scalars_multilinechart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Show several curves in one chart."""
        self._writer.add_custom_scalars_multilinechart(tags, category, title)

    def add_custom_scalars_marginchart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Show a curve between two others: tags of the value, its lower and upper bound."""
        self._writer.add_custom_scalars_marginchart(tags, category, title)

    def _add(self, summary: Any, global_step: Step, walltime: Time) -> None:
        self._writer._get_file_writer().add_summary(summary, global_step, walltime)
