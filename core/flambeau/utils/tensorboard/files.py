"""A file of events."""

from __future__ import annotations

import os
from typing import Any

from flambeau.utils.tensorboard.host import tensorboardx


class FileWriter:
    """Writes events to a file in a folder, from a thread of its own.

    Args:
        log_dir: the folder.
        max_queue: how many events may wait before ``add_event`` does.
        flush_secs: after how many seconds they are written at the latest.
        filename_suffix: what the file's name ends in.

    Raises:
        ModuleNotFoundError: if tensorboardX is not installed; the message names the extra.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        self._writer = tensorboardx().FileWriter(
            os.fspath(log_dir), max_queue, flush_secs, filename_suffix
        )

    def get_logdir(self) -> str:
        """The folder."""
        folder: str = self._writer.get_logdir()
        return folder

    def add_event(self, event: Any, step: int | None = None, walltime: float | None = None) -> None:
        """Add an ``Event``; the step and time of day are put into it."""
        self._writer.add_event(event, step, walltime)

    def add_summary(
        self, summary: Any, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Add an event that holds a ``Summary``."""
        self._writer.add_summary(summary, global_step, walltime)

    def add_graph(self, graph_profile: Any, walltime: float | None = None) -> None:
        """Add an event that holds a ``GraphDef`` with its ``RunMetadata``."""
        self._writer.add_graph(graph_profile, walltime)

    def add_onnx_graph(self, graph: Any, walltime: float | None = None) -> None:
        """Add an event that holds a ``GraphDef``."""
        self._writer.add_onnx_graph(graph, walltime)

    def flush(self) -> None:
        """Write what waits."""
        self._writer.flush()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._writer.close()

    def reopen(self) -> None:
        """Open another file in the folder."""
        self._writer.reopen()
