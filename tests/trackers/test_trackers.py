"""Statistics and histories in files of TensorBoard, Weights & Biases and MLflow, and what these read of them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.measures.layer_statistics import MEASURES, LayerStatistics
from netviz_core.measures.statistics import Statistics, load_statistics
from netviz_core.measures.training import TrainingHistory, load_history
from netviz_core.testing import example_model

X = np.random.default_rng(0).normal(size=(6, 1, 8, 8))
ODD = ("block", "block/mean", "a#b", "../up", "ü\n", "", "block//x")
"""Names that are those of numbers of others, of folders, or that a tracker does not allow."""


@pytest.fixture
def found() -> Statistics:
    return nv.statistics(example_model(), X, progress=False)


def odd_layers(names: Sequence[str]) -> dict[str, LayerStatistics]:
    """For each name numbers up to four times its place, and last, what is not finite."""
    layers = {name: LayerStatistics.of(np.arange(5.0) * place) for place, name in enumerate(names)}
    return layers | {"lost": LayerStatistics.of(np.array([np.nan, np.inf]))}


@pytest.fixture
def odd() -> Statistics:
    return Statistics(odd_layers(ODD), {}, 1)


@pytest.fixture
def history() -> TrainingHistory:
    made = TrainingHistory(["conv1", "fc"])
    for step in (0, 50):
        seen = {("activation", "conv1", ""): LayerStatistics.of(np.arange(4.0) + step, detail=1)}
        if step:
            seen["gradient", "fc", "kernel"] = LayerStatistics.of(np.array([-1.0, 2.0]), detail=1)
        made.add(step, seen)
    return made


def numbers_of(layer: LayerStatistics) -> dict[str, float]:
    return {name: getattr(layer, name) for name in MEASURES}


class TestTensorBoard:
    def read(self, folder: Path) -> Any:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
        return events.Reload()

    def test_each_number_of_statistics_is_a_scalar_at_their_step(self, found, tmp_path):
        found.to_tensorboard(tmp_path / "new" / "logs", step=7)
        events = self.read(tmp_path / "new" / "logs")
        tags = {f"activation/{key or 'output'}/{name}" for key in found for name in MEASURES}
        assert set(events.Tags()["scalars"]) == tags
        for name, value in numbers_of(found["conv1"]).items():
            (event,) = events.Scalars(f"activation/conv1/{name}")
            assert event.step == 7
            np.testing.assert_allclose(event.value, value, rtol=1e-6)

    def test_each_layer_has_a_histogram_with_its_sums(self, found, tmp_path):
        found.to_tensorboard(str(tmp_path))
        (event,) = self.read(tmp_path).Histograms("activation/conv1/histogram")
        told, layer = event.histogram_value, found["conv1"]
        assert sum(told.bucket) == told.num == layer.count
        assert (told.min, told.max) == (layer.minimum, layer.maximum)
        np.testing.assert_allclose(told.sum / told.num, layer.mean)
        np.testing.assert_allclose(told.sum_squares / told.num, layer.variance + layer.mean**2)
        values = nv.capture(example_model(), X)["conv1"].values
        expected, _ = np.histogram(values, [layer.minimum, *told.bucket_limit])
        spread = 0.02 * values.size  # within a bin of the statistics values count as evenly spread
        np.testing.assert_allclose(told.bucket, expected, atol=spread)

    def test_a_history_has_all_its_steps_after_the_one_that_is_given(self, history, tmp_path):
        history.to_tensorboard(tmp_path, step=1000)
        events = self.read(tmp_path)
        assert [event.step for event in events.Scalars("activation/conv1/mean")] == [1000, 1050]
        assert [event.value for event in events.Scalars("activation/conv1/mean")] == [1.5, 51.5]
        assert [event.step for event in events.Histograms("gradient/fc/kernel/histogram")] == [1050]

    def test_names_of_any_characters_stay_apart_and_what_is_not_finite_is_left_out(self, odd, tmp_path):
        odd.to_tensorboard(tmp_path)
        events = self.read(tmp_path)
        assert len(events.Tags()["histograms"]) == len(ODD)
        for number, name in enumerate(ODD):
            shown = {"": "output", "ü\n": "ü\\n"}.get(name, name)
            assert events.Scalars(f"activation/{shown}/maximum")[0].value == 4 * number
        lost = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"] if "/lost/" in tag}
        assert lost == {"activation/lost/nonfinite_count": 2, "activation/lost/nonfinite_fraction": 1}


@pytest.mark.filterwarnings("ignore:::wandb", "ignore::ResourceWarning")
class TestWeightsAndBiases:
    @pytest.fixture
    def run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        import wandb

        monkeypatch.setenv("WANDB_SILENT", "true")
        with wandb.init(mode="offline", dir=tmp_path, project="netviz") as run:
            yield run

    def read(self, run: Any, tmp_path: Path) -> list[Any]:
        """The records of the file of a run that has ended: those of the log format of LevelDB, after seven bytes."""
        import wandb
        from wandb.proto.wandb_internal_pb2 import Record

        run.finish()
        wandb.teardown()  # until then the end of the file may be in the process that writes it
        (path,) = tmp_path.glob(f"wandb/offline-run-*/run-{run.id}.wandb")
        raw, place, held, records = path.read_bytes(), 7, b"", []
        while place + 7 <= len(raw):
            if (left := 2**15 - place % 2**15) < 7:
                place += left
                continue
            _, size, kind = struct.unpack_from("<IHB", raw, place)
            held += raw[place + 7 : place + 7 + size]
            place += 7 + size
            if kind in (1, 4):  # a whole record, or the end of one
                records.append(Record.FromString(held))
                held = b""
        return records

    def looks(self, records: list[Any]) -> list[dict[str, Any]]:
        rows = []
        for record in records:
            row: dict[str, Any] = {}
            for item in record.history.item:
                row["/".join((*([item.key] if item.key else item.nested_key),))] = json.loads(item.value_json)
            rows.append(row)
        return [row for row in rows if "netviz/step" in row]

    def test_a_history_is_kept_whatever_step_the_run_has_come_to(self, history, run, tmp_path):
        run.log({"loss": 1.0}, step=500)
        history.to_wandb()
        records = self.read(run, tmp_path)
        looks = self.looks(records)
        assert [look["netviz/step"] for look in looks] == [0, 50]
        assert [look["netviz/activation/conv1/mean"] for look in looks] == [1.5, 51.5]
        assert looks[1]["netviz/gradient/fc/kernel/maximum"] == 2
        steps = {
            record.metric.glob_name: record.metric.step_metric
            for record in records
            if record.metric.glob_name
        }
        assert steps == {"netviz/*": "netviz/step"}

    def test_statistics_have_histograms(self, found, run, tmp_path):
        found.to_wandb(run, step=3)
        (look,) = self.looks(self.read(run, tmp_path))
        histogram = "netviz/activation/conv1/histogram"
        assert look["netviz/step"] == 3
        assert look[f"{histogram}/_type"] == "histogram"
        assert sum(look[f"{histogram}/values"]) == found["conv1"].count
        assert (look[f"{histogram}/bins"][0], look[f"{histogram}/bins"][-1]) == (
            found["conv1"].minimum, found["conv1"].maximum,
        )  # fmt: skip
        for name, value in numbers_of(found["conv1"]).items():
            np.testing.assert_allclose(look[f"netviz/activation/conv1/{name}"], value)

    def test_names_stay_apart(self, odd, run, tmp_path):
        odd.to_wandb(run)
        (look,) = self.looks(self.read(run, tmp_path))
        assert look["netviz/activation/block/mean"] == 0
        assert look["netviz/activation/block/mean/mean"] == 2
        assert len([name for name in look if name.endswith("/maximum")]) == len(ODD)

    def test_without_a_run_it_is_said_how_to_begin_one(self, found):
        with pytest.raises(nv.InputError, match=r"wandb\.init\(\)"):
            found.to_wandb()


@pytest.mark.filterwarnings("ignore:::mlflow", "ignore::ResourceWarning")
class TestMLflow:
    @pytest.fixture
    def mlflow(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        import mlflow

        mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
        yield mlflow
        mlflow.end_run()

    def series(self, mlflow: Any, run: Any, key: str) -> list[tuple[int, float]]:
        told = mlflow.MlflowClient().get_metric_history(run.info.run_id, key)
        return [(metric.step, metric.value) for metric in told]

    def test_a_history_is_a_series_of_each_number_and_a_file(self, history, mlflow, tmp_path):
        with mlflow.start_run() as run:
            history.to_mlflow()
        assert self.series(mlflow, run, "activation/conv1/mean") == [(0, 1.5), (50, 51.5)]
        assert self.series(mlflow, run, "gradient/fc/kernel/maximum") == [(50, 2.0)]
        path = mlflow.artifacts.download_artifacts(
            run_id=run.info.run_id, artifact_path="netviz/training-history-0.npz", dst_path=str(tmp_path)
        )
        assert load_history(path).series("activation", "conv1").tolist() == [1.5, 51.5]

    def test_statistics_go_to_the_run_that_is_named(self, found, mlflow, tmp_path):
        with mlflow.start_run() as run:
            pass
        found.to_mlflow(run.info.run_id, step=4)
        assert mlflow.active_run() is None
        for name, value in numbers_of(found["conv1"]).items():
            assert self.series(mlflow, run, f"activation/conv1/{name}") == [(4, value)]
        path = mlflow.artifacts.download_artifacts(
            run_id=run.info.run_id, artifact_path="netviz/statistics-4.npz", dst_path=str(tmp_path)
        )
        assert list(load_statistics(path)) == list(found)

    def test_names_that_are_not_allowed_are_written_otherwise_and_stay_apart(self, mlflow):
        names = [name for name in ODD if name != "block/mean"]  # a folder of the file of another number
        odd = Statistics(odd_layers(names), {}, 1)
        with mlflow.start_run() as run:
            odd.to_mlflow()
        numbers = mlflow.get_run(run.info.run_id).data.metrics
        assert numbers["activation/a_x23_b/maximum"] == 4 * names.index("a#b")
        assert numbers["activation/_x2e__x2e_/up/maximum"] == 4 * names.index("../up")
        assert numbers["activation/block/_x_/x/maximum"] == 4 * names.index("block//x")
        found = sorted(value for name, value in numbers.items() if name.endswith("/maximum"))
        assert found == [4 * number for number in range(len(names))]


@pytest.mark.parametrize("to", ["to_tensorboard", "to_wandb", "to_mlflow"])
def test_nothing_is_refused_and_leaves_nothing_behind(to, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for empty in (TrainingHistory(["conv1"]), Statistics({}, {}, 0)):
        with pytest.raises(nv.InputError, match="nothing was seen so far"):
            getattr(empty, to)(*(["logs"] if to == "to_tensorboard" else []))
    assert not list(tmp_path.iterdir())
