"""Layers by measures: numbers or a scale, alarms in front and told in words, nothing left out without a word."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from netviz_core.views.measures import LayerMeasures

from .handmade import measures_view, normal
from .test_grids import footer_of

NAMES = ["mean", "std", "minimum", "maximum", "zero fraction", "nonfinite fraction"]


def drawn(view: LayerMeasures, **style):
    ax = view.plot(**style)
    ax.figure.canvas.draw()
    return ax


def cells(ax) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_ha() == "center"]


def findings(ax) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_ha() == "left" and text.get_text()]


def heads(ax) -> list[str]:
    return [label.get_text().replace("\n", " ") for label in ax.get_xticklabels()]


def overlaps(texts) -> int:
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    return sum(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[:n])


def test_each_number_stands_in_its_cell_and_no_value_is_not_zero():
    values = np.array([[1.0, 0.0], [-0.25, np.nan], [2e-7, 3.0]])
    ax = drawn(measures_view(values))
    assert cells(ax) == ["1", "0", "−0.25", "–", "2e−07", "3"]
    assert "no value" in footer_of(ax)
    shown = ax.images[0].get_array()
    assert not np.array_equal(shown[0, 1], shown[1, 1])
    assert "no value" not in footer_of(drawn(measures_view(np.ones((3, 2)))))


def test_where_there_is_no_room_for_numbers_each_column_has_its_scale():
    ax = drawn(measures_view(np.linspace(-1, 5, 600).reshape(300, 2), ["mean", "std"]))
    assert cells(ax) == []
    assert heads(ax) == ["mean −1 … 4.99", "std −0.99 … 5"]
    assert "above: least … largest" in footer_of(ax)


def test_findings_are_said_in_words_and_marked_rows_share_a_frame():
    view = replace(
        measures_view(normal(5, 2)),
        marked=(False, True, True, False, False),
        findings=("", "bad", "bad", "odd", ""),
    )
    ax = drawn(view)
    assert findings(ax) == ["▲ bad", "▲ bad", "△ odd"]
    frames = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert [(frame.get_y(), frame.get_height()) for frame in frames] == [(0.5, 2)]
    assert footer_of(ax)[:2] == ["▲ alarm", "△ warning"]


def test_findings_of_rows_too_low_for_words_are_said_once():
    marked = tuple(row >= 150 for row in range(300))
    view = replace(
        measures_view(normal(300, 2)), marked=marked, findings=tuple("not finite" * mark for mark in marked)
    )
    assert findings(drawn(view)) == ["▲ not finite ×150"]


@pytest.mark.parametrize("rows", [4, 300])
def test_a_narrow_figure_leaves_the_least_important_columns_out_and_says_so(rows):
    values = 1000 * normal(rows, 6)
    values[:, 1] = 0.5
    ax = drawn(measures_view(values, NAMES), figsize=(2.6, 3))
    shown = [head.rstrip("−…0123456789. e+") for head in heads(ax)]
    assert shown[0] == "mean"
    assert "std" not in shown, "where all is the same, there is nothing to see"
    left = [name for name in NAMES if name not in shown]
    assert f"no room for {', '.join(left)}" in " ".join(footer_of(ax)).replace("\n", " ")
    assert overlaps(ax.get_xticklabels()) == 0
    assert heads(drawn(measures_view(values[:4], NAMES))) == NAMES


@pytest.mark.parametrize("rows", [1, 12, 60, 300])
@pytest.mark.parametrize("size", [None, (3.3, 2.5), (3.3, 4)])
@pytest.mark.parametrize("name", ["{}", "backbone.encoder.stages.{}.blocks.residual_branch.depthwise"])
def test_words_stay_apart_and_on_the_paper(rows, size, name):
    marked = tuple(row % 5 == 4 for row in range(rows))
    view = replace(
        measures_view(1000 * normal(rows, 6), NAMES),
        layers=tuple(name.format(row) for row in range(rows)),
        marked=marked,
        findings=tuple("passes on NaN" * mark for mark in marked),
    )
    ax = drawn(view, **({} if size is None else {"figsize": size}))
    for texts in (ax.get_xticklabels(), ax.get_yticklabels(), ax.texts):
        assert overlaps(texts) == 0
    paper = ax.figure.bbox
    for text in ax.figure.findobj(Text):
        if text.get_text() and text.get_visible():
            box = text.get_window_extent()
            assert box.x0 >= paper.x0 - 1, text.get_text()
            assert box.x1 <= paper.x1 + 1, text.get_text()
            assert box.y0 >= paper.y0 - 1, text.get_text()


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_letters_can_be_read_on_their_cells(style):
    values = np.append(np.linspace(0, 1, 29), np.nan)[:, None]
    with plt.style.context(style):
        ax = drawn(measures_view(values))
        ground = matplotlib.colors.to_rgb(ax.get_facecolor())
        pixels = ax.images[0].get_array()[:, 0] / 255
        for text, (*colour, alpha) in zip(
            (t for t in ax.texts if t.get_ha() == "center"), pixels, strict=True
        ):
            below = np.array(colour) * alpha + np.array(ground) * (1 - alpha)
            assert contrast(text.get_color(), below) >= 4.5, text.get_text()


def contrast(one, other) -> float:
    """Of two colours, as WCAG defines it."""

    def luminance(colour) -> float:
        parts = np.array(matplotlib.colors.to_rgb(colour))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("shape", "said"), [((0, 2), "no layer"), ((2, 0), "no measure")])
def test_nothing_to_see_is_told(shape, said):
    assert [text.get_text() for text in measures_view(np.zeros(shape)).plot().texts] == [said]
