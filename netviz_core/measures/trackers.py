"""Statistics and histories in trackers of experiments, through the trackers' own writers."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..words.errors import InputError, as_integer
from ..words.optional import needed
from ..words.text_tables import printable
from .layer_statistics import MEASURES, LayerStatistics

if TYPE_CHECKING:
    from pathlib import Path

    from ..views.histogram import Histogram

_BINS = 64


class Look(NamedTuple):
    """What was seen at one step, by the names that trackers give it: ``activation/conv1``, ``weight/conv1/kernel``."""

    step: int
    seen: Mapping[str, LayerStatistics]

    @property
    def numbers(self) -> dict[str, float]:
        """All that is one number, such as ``activation/conv1/mean``; without those of nothing, which are not finite."""
        numbers = {
            f"{printable(name)}/{measure}": float(getattr(layer, measure))
            for name, layer in self.seen.items()
            for measure in MEASURES
        }
        return {name: value for name, value in numbers.items() if math.isfinite(value)}

    @property
    def histograms(self) -> Iterator[tuple[str, Histogram]]:
        """The distribution of each in equal bins, such as ``activation/conv1/histogram``, where anything was finite."""
        for name, layer in self.seen.items():
            if layer.count:
                yield f"{printable(name)}/histogram", layer.as_histogram(name, _BINS)


class Tracked:
    """What has looks, and writes them to trackers; a name such as ``activation/conv1/mean`` is the same in each.

    A number of nothing, as the mean where no value was finite, is left out; ``nonfinite_count`` says how many were not.
    """

    _stored_as: str

    def _looks(self) -> Iterable[Look]:
        raise NotImplementedError(f"{type(self).__name__} does not say what was seen at which step")

    def save(self, path: str | Path) -> None:
        """Write all of it to exactly `path`."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it is saved")

    def to_tensorboard(self, log_dir: str | Path, *, step: int = 0) -> None:
        """Write numbers and histograms to a folder that TensorBoard reads, as a new file of events in it.

        Parameters
        ----------
        log_dir : str or Path
            Made where it is not there.
        step : int
            Added to the steps of a history; statistics have no other.

        Raises
        ------
        ImportError
            If tensorboard is not installed.
        InputError
            If nothing was seen so far.
        """
        _to_tensorboard(self._looks_from(step), log_dir)

    def to_wandb(self, run: Any = None, *, step: int = 0) -> None:
        """Log numbers and histograms to a run of Weights & Biases, below ``netviz/``.

        Charts have the steps of ``netviz/step``, as a run takes nothing for a step of its own that it has passed; each
        look takes one of these.

        Parameters
        ----------
        run : wandb.Run, optional
            By default the one that ``wandb.init()`` began.
        step : int
            As for `to_tensorboard`.

        Raises
        ------
        ImportError
            If wandb is not installed.
        InputError
            If no run has begun, or nothing was seen so far.
        """
        _to_wandb(self._looks_from(step), run)

    def to_mlflow(self, run_id: str | None = None, *, step: int = 0) -> None:
        """Log numbers to a run of MLflow, which has no histograms, and all of it as an artifact in ``netviz``.

        The artifact is what `save` writes. In names, what MLflow does not allow is written as ``_x23_``, of the number
        that the character has.

        Parameters
        ----------
        run_id : str, optional
            By default the active run, which MLflow begins where there is none.
        step : int
            As for `to_tensorboard`.

        Raises
        ------
        ImportError
            If mlflow is not installed.
        InputError
            If nothing was seen so far.
        """
        import tempfile  # here, as it is heavy, and few ask for it

        looks = self._looks_from(step)
        mlflow = needed("mlflow", "to_mlflow()")
        for look in looks:
            numbers = {_in_mlflow(name): value for name, value in look.numbers.items()}
            mlflow.log_metrics(numbers, step=look.step, run_id=run_id)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, f"{self._stored_as}-{step}.npz")
            self.save(path)
            mlflow.log_artifact(path, "netviz", run_id=run_id)

    def _looks_from(self, step: int) -> list[Look]:
        first = as_integer(step, "step")
        looks = [Look(look.step + first, look.seen) for look in self._looks() if look.seen]
        if not looks:
            raise InputError(f"{self!r} has nothing to be written: nothing was seen so far")
        return looks


def _to_tensorboard(looks: Iterable[Look], log_dir: str | Path) -> None:
    def of_tensorboard(module: str) -> Any:
        return needed(f"tensorboard.{module}", "to_tensorboard()", "tensorboard")

    events, summaries = (of_tensorboard(f"compat.proto.{name}_pb2") for name in ("event", "summary"))
    writer = of_tensorboard("summary.writer.event_file_writer").EventFileWriter(os.fspath(log_dir))
    try:
        for look in looks:
            summary = summaries.Summary()
            for name, value in look.numbers.items():
                summary.value.add(tag=name, simple_value=value)
            for name, histogram in look.histograms:
                summary.value.add(tag=name, histo=_as_proto(histogram, summaries))
            writer.add_event(events.Event(wall_time=time.time(), step=look.step, summary=summary))
    finally:
        writer.close()


def _as_proto(histogram: Histogram, summaries: Any) -> Any:
    counted = int(histogram.counts.sum())  # of a sample, maybe: the sums are of as many
    return summaries.HistogramProto(
        min=histogram.minimum,
        max=histogram.maximum,
        num=counted,
        sum=counted * histogram.mean,
        sum_squares=counted * (histogram.std**2 + histogram.mean**2),
        bucket_limit=histogram.edges[1:].tolist(),
        bucket=histogram.counts.tolist(),
    )


def _to_wandb(looks: Iterable[Look], run: Any) -> None:
    wandb = needed("wandb", "to_wandb()")
    run = wandb.run if run is None else run
    if run is None:
        raise InputError(
            "no run of Weights & Biases has begun; begin one by wandb.init(), or give it as run="
        )
    run.define_metric("netviz/step")
    run.define_metric("netviz/*", step_metric="netviz/step")
    for look in looks:
        histograms = {
            name: wandb.Histogram(np_histogram=(found.counts, found.edges)) for name, found in look.histograms
        }
        told = {"step": look.step, **look.numbers, **histograms}
        run.log({f"netviz/{name}": value for name, value in told.items()})


def _in_mlflow(name: str) -> str:
    """A name that MLflow takes, different ones of which stay different: letters and ``_-. :``, and no ``..``."""
    return "/".join(
        re.sub(r"^\.+$|[^\w.\- :]", lambda found: "".join(f"_x{ord(each):x}_" for each in found[0]), part)
        or "_x_"
        for part in name.split("/")
    )
