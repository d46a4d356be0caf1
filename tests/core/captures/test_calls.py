"""Layers that are plain objects which are called, heard without hooks: what `backend_api` offers for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netviz_core.backend_api import (
    AxisBook,
    CallListener,
    Observation,
    Ready,
    Recorder,
    ReplacingListener,
    StandIn,
    cut_by_xla,
    listening,
    padded,
)
from netviz_core.testing import ReferenceBackend, example_model


class Tensor(np.ndarray):
    """An array that can be referred to weakly, as a framework's tensors can."""


def tensor(*values: float) -> Tensor:
    return np.array([values]).view(Tensor)


class Double:
    def __call__(self, x: Any) -> Any:
        return x * 2


class Louder(Double):
    def __call__(self, x: Any) -> Any:
        return super().__call__(x) + 1


class Silent(Louder):
    """Takes its call from the class above."""


class Steps:
    def __init__(self, cell: Any) -> None:
        self.cell = cell

    def __call__(self, x: Any) -> Any:
        return self.cell(self.cell(x))


class Reader:
    def is_tensor(self, value: object) -> bool:
        return isinstance(value, np.ndarray)

    def observed(self, leaf: str, tensor: Any, axes: tuple[str, ...]) -> Observation | str:
        if np.isnan(tensor).any():
            return "it has no values yet"
        return Observation(leaf, Ready(np.array(tensor)), axes, str(tensor.dtype), tensor.nbytes)

    def axes_after(self, layer: Any, before: Any, rank: int) -> Any:
        return ("batch", "channel") if isinstance(layer, Double) else None

    def like(self, values: Any, dtype: str) -> Any:
        return np.asarray(values, dtype).view(Tensor)

    def is_closed(self, layer: Any) -> bool:
        return isinstance(layer, Steps)


class Named:
    """Objects under names, as a backend knows its layers."""

    def __init__(self, **objects: Any) -> None:
        self.objects = objects
        layers = list(ReferenceBackend().layers(example_model()))
        self.layers = [_Called(layers[0], name) for name in objects]

    def path_of(self, found: Any) -> str | None:
        return next((name for name, known in self.objects.items() if known is found), None)

    @property
    def classes(self) -> set[type]:
        return {type(known) for known in self.objects.values()}


class _Called:
    def __init__(self, layer: Any, path: str) -> None:
        self._layer, self.path = layer, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)


def test_each_call_is_told_once_also_where_classes_call_those_above() -> None:
    named = Named(loud=Louder(), silent=Silent(), plain=Double())
    recorder = Recorder(named.layers)
    before = {cls: vars(cls).get("__call__") for cls in (Double, Louder, Silent)}
    with listening([CallListener(Reader(), named.path_of, recorder, AxisBook())], named.classes):
        named.objects["loud"](tensor(1, 2))
        named.objects["silent"](tensor(3, 4))
        Louder()(tensor(5, 6))  # no layer of the model
    assert [(slot.path, slot.get().values.tolist()) for slot in recorder.slots] == [
        ("loud", [[3, 5]]),
        ("silent", [[7, 9]]),
    ]
    assert recorder.slots[0].axes == ("batch", "channel")
    assert before == {cls: vars(cls).get("__call__") for cls in before}


def test_listeners_need_not_leave_in_the_order_in_which_they_came() -> None:
    named = Named(plain=Double())
    first, second = (Recorder(named.layers) for _ in range(2))
    opened = [
        listening([CallListener(Reader(), named.path_of, recorder, AxisBook())], named.classes)
        for recorder in (first, second)
    ]
    for context in opened:
        context.__enter__()
    opened[0].__exit__(None, None, None)
    named.objects["plain"](tensor(1, 2))
    opened[1].__exit__(None, None, None)
    named.objects["plain"](tensor(1, 2))
    assert (len(first.slots), len(second.slots)) == (0, 1)


def test_what_runs_within_a_closed_layer_is_not_heard_and_a_failing_call_leaves_the_classes_alone() -> None:
    cell = Double()
    named = Named(cell=cell, steps=Steps(cell))
    recorder = Recorder(named.layers)
    own = Steps.__call__
    with listening([CallListener(Reader(), named.path_of, recorder, AxisBook())], named.classes):
        named.objects["steps"](tensor(1, 2))
        with pytest.raises(TypeError):
            named.objects["steps"]()
    assert [slot.path for slot in recorder.slots] == ["steps"]
    assert Steps.__call__ is own


def test_a_value_that_cannot_be_read_has_its_reason() -> None:
    named = Named(plain=Double())
    recorder = Recorder(named.layers)
    with listening([CallListener(Reader(), named.path_of, recorder, AxisBook())], named.classes):
        named.objects["plain"](tensor(np.nan))
    assert recorder.coverage()["plain"].reason == "it has no values yet"


def test_what_follows_is_computed_from_the_values_put_in_place() -> None:
    named = Named(first=Double(), second=Louder(), third=Double())
    heard = [layer for layer in named.layers if layer.path != "third"]
    recorder = Recorder(heard, given=Recorder(heard))
    stand_in = StandIn(np.array([[9.0]]), ("batch", "channel"), "float64")

    def replacement(path: str, call: int, leaf: str, is_given: bool, shape: tuple[int, ...]) -> Any:
        return np.full(shape, 10.0) if path == "second" and is_given else None

    listener = ReplacingListener(
        Reader(), named.path_of, recorder, AxisBook(), replacement, {"third": [stand_in]}
    )
    with listening([listener], named.classes):
        between = named.objects["second"](named.objects["first"](tensor(1)))
        last = named.objects["third"](between)
    assert (between.item(), last.item()) == (21, 9)
    assert recorder.given is not None
    assert [slot.get().values.item() for slot in recorder.given.slots] == [1, 2]


@pytest.mark.parametrize(
    ("padding", "stride", "sides"),
    [("VALID", 1, (0, 0)), ("causal", 1, (2, 0)), ("same", 1, (1, 1)), (2, 1, (2, 2)), ([(0, 1)], 3, (0, 1))],
)
def test_padding_is_told_as_sides(padding: Any, stride: int, sides: tuple[int, int]) -> None:
    assert padded(padding, (2,), (stride,)) == (sides,)


def test_padding_that_depends_on_the_input_stays_a_word() -> None:
    assert padded("SAME", (2,), (2,)) == "same"
    assert cut_by_xla(1, (2,), (2,)) == ((1, 1),)
