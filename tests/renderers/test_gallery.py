"""Figures of every kind, small and large, say what they say without texts that are the same, touch, or leave them."""

from __future__ import annotations

import pytest

from .gallery import KINDS, LOOKS, NAMES, checked, shown

PLACES = ("default", "column", "dark")


@pytest.mark.parametrize("look", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_texts_can_be_read(kind, look):
    view = KINDS[kind](60, NAMES["long"])
    assert shown(view, look, checked) == []


@pytest.mark.parametrize("kind", KINDS)
def test_one_and_many_can_be_read(kind):
    for count, names, look in ((1, "short", "default"), (300, "long", "default"), (2048, "long", "dark")):
        assert shown(KINDS[kind](count, NAMES[names]), look, checked) == []


def test_the_gallery_knows_what_is_wrong_with_a_figure():
    from matplotlib.figure import Figure

    from .looks import faults

    figure = Figure(figsize=(2, 2))
    ax = figure.add_subplot()
    ax.set_xticks([0, 0.05, 1], ["a name", "a name", "b"])
    ax.text(3, 0.5, "outside")
    ax.text(0.1, 0.5, "faint", color="0.8")
    told = " ".join(faults(figure))
    assert all(part in told for part in ("two ticks are called", "overlap", "leaves the figure", "contrast"))


def test_every_look_is_one_of_the_gallery():
    assert set(PLACES) <= set(LOOKS)
