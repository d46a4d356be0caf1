"""What `layers=` means, wherever it is taken."""

from __future__ import annotations

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.measures.statistics import statistics
from netviz_core.measures.training import TrainingHistory
from netviz_core.measures.watching import TrainingWatch
from netviz_core.testing.reference import Dense, Model, example_model

X = np.random.default_rng(0).normal(size=(6, 4))


def numbered() -> Model:
    """Layers whose names are one letter each, so that a string read letter by letter is seen."""
    example_model()
    return Model(**{name: Dense(kernel=np.eye(4), bias=np.zeros(4)) for name in "01"})


def history(model: Model) -> TrainingHistory:
    watch = TrainingWatch(model)
    watch.add(0, nv.capture(model, X, watch.paths, reduce=watch.reduce))
    return watch.history


def rows(view: object) -> tuple[str, ...]:
    return tuple(getattr(view, "layers", ()) or view.labels)


TAKERS = {
    "select": lambda model, layers: tuple(layer.path for layer in nv.wrap(model).select(layers)),
    "capture": lambda model, layers: tuple(nv.capture(model, X, layers)),
    "statistics": lambda model, layers: tuple(statistics(model, X, layers)),
    "statistics heatmap": lambda model, layers: rows(statistics(model, X).heatmap(layers=layers)),
    "statistics histograms": lambda model, layers: rows(statistics(model, X).histograms(layers)),
    "history heatmap": lambda model, layers: rows(history(model).heatmap(layers=layers)),
    "watch": lambda model, layers: tuple(TrainingWatch(model, layers=layers).paths),
    "health": lambda model, layers: nv.health(model, X, layers).layers,
    "histograms": lambda model, layers: rows(nv.histograms(model, layers)),
    "histograms of a capture": lambda model, layers: rows(nv.histograms(nv.capture(model, X), layers)),
    "similarity": lambda model, layers: nv.similarity(model, model, X, layers=layers).keys_a,
    "similarity of captures": lambda model, layers: (
        nv.similarity(nv.capture(model, X), nv.capture(model, X), layers=layers).keys_a
    ),
}


@pytest.mark.parametrize("taker", TAKERS.values(), ids=TAKERS)
def test_a_path_a_glob_a_list_and_a_function_do_everywhere(taker):
    assert taker(numbered(), "1") == ("1",)
    assert taker(numbered(), "[01]") == ("0", "1")
    assert taker(numbered(), ["1"]) == ("1",)
    assert taker(numbered(), ["1", "[0]"]) == ("0", "1")
    assert "1" in taker(numbered(), lambda layer: True)


@pytest.mark.parametrize("taker", TAKERS.values(), ids=TAKERS)
@pytest.mark.parametrize("layers", ["01", ["0", "01"]])
def test_a_name_that_fits_nothing_is_said_and_never_read_letter_by_letter(taker, layers):
    with pytest.raises(nv.LayerNotFoundError, match=r"'01'.*did you mean '[01]'"):
        taker(numbered(), layers)


@pytest.mark.parametrize("taker", TAKERS.values(), ids=TAKERS)
@pytest.mark.parametrize("layers", [7, [], [0], {"0": 1}])
def test_what_chooses_nothing_is_refused(taker, layers):
    with pytest.raises(nv.InputError, match="a path, a glob, a list of them, or a function"):
        taker(numbered(), layers)


@pytest.mark.parametrize("taker", TAKERS.values(), ids=TAKERS)
def test_a_function_that_chooses_nothing_is_said(taker):
    with pytest.raises(nv.LayerNotFoundError, match="the function given chose none of the"):
        taker(numbered(), lambda layer: False)


def test_a_function_is_given_the_layer_or_what_is_stored_of_it():
    model = numbered()
    model.layers["1"].parameters["bias"][:] = 9.0
    assert statistics(model, X).heatmap(layers=lambda layer: layer.mean > 5).layers == ("1", "")
    assert history(model).heatmap(layers=lambda seen: seen[0].mean > 5).layers == ("1",)
    captured = nv.capture(model, X)
    assert nv.histograms(captured, lambda layer: layer.kind == "dense").labels == ("0", "1")


def test_a_name_that_is_there_is_no_glob():
    example_model()
    model = Model(**{name: Dense(kernel=np.eye(4), bias=np.zeros(4)) for name in ("a[0]", "a0")})
    assert tuple(nv.capture(model, X, "a[0]")) == ("a[0]",)
    assert nv.histograms(nv.capture(model, X), "a[0]").labels == ("a[0]",)


def test_a_history_of_one_layer_given_as_a_string_has_that_layer():
    assert TrainingHistory("01").layers == ("01",)
