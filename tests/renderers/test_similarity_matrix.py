"""The matrix of similarities: every number in its place, every layer by its name."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from netviz_core import side_by_side
from netviz_core.measures.similarity_view import LayerRemark
from netviz_matplotlib.parts.colours import scale_for
from netviz_matplotlib.parts.style import Style

from .handmade import similarity_view
from .looks import contrast
from .test_charts import colour_bars
from .test_grids import footer_of
from .test_histories import picture_of

LONG = "backbone.encoder.stages.3.blocks.{}.residual_branch.depthwise.pointwise"


def shares(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape)


def names(labels) -> list[str]:
    return [label.get_text() for label in labels]


def test_layers_of_a_are_rows_from_the_top_and_layers_of_b_columns():
    view = similarity_view(shares(3, 5))
    ax = view.plot()
    assert (picture_of(ax) == scale_for((0.0, 1.0), Style()).rgba(view.values)).all()
    low, high = ax.get_ylim()
    assert low > high, "the first row is at the top"
    assert (names(ax.get_yticklabels()), names(ax.get_xticklabels())) == (
        list(view.keys_a),
        list(view.keys_b),
    )
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("a (3)", "b (5)")
    told = ax.format_coord(4.2, 1.9)
    assert told == f"encoder.blocks.2.conv of a, stages/4/conv of b: {view.values[2, 4]:.4g}"
    assert ax.format_coord(5.6, 0) == ax.format_coord(0, -0.6) == ""


def test_the_scale_is_the_same_whatever_the_values_are():
    for values in (shares(2, 2) / 100, np.array([[-0.2, 1.0]]), np.full((2, 2), np.nan)):
        bar = colour_bars(similarity_view(values).plot().figure)[0]
        assert (bar.scale.low, bar.scale.high, bar.get_ylabel()) == (0, 1, "linear CKA")
    axes = side_by_side(similarity_view(shares(2, 2)), similarity_view(shares(3, 3) / 9)).plot()
    assert len(colour_bars(axes[0].figure)) == 1


def test_few_values_are_written_into_their_cells():
    ax = similarity_view(np.array([[0.987, -0.049], [np.nan, 1.0]])).plot()
    assert [(text.get_position(), text.get_text()) for text in ax.texts] == [
        ((0, 0), "0.99"),
        ((1, 0), "−0.05"),
        ((1, 1), "1"),
    ]
    assert footer_of(ax) == ["1 NaN"]
    assert not similarity_view(shares(40, 3)).plot().texts


@pytest.mark.parametrize("cmap", ["viridis", "viridis_r", "gray"])
def test_numbers_stand_out_from_their_cell_whatever_the_colours(cmap):
    view = similarity_view(np.linspace(0, 1, 12)[np.newaxis])
    ax = view.plot(cmap=cmap)
    for text, colour in zip(ax.texts, picture_of(ax)[0], strict=True):
        assert contrast(text.get_color(), colour[:3] / 255) >= 4.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 20), (12, 30), (60, 5), (200, 200)])
@pytest.mark.parametrize("pattern", ["conv{}", LONG])
def test_names_are_whole_on_the_paper_and_apart_from_each_other(shape, pattern):
    keys = [[pattern.format(number) for number in range(count)] for count in shape]
    ax = similarity_view(shares(*shape), *keys).plot()
    FigureCanvasAgg(ax.figure).draw()
    for labels, low, high in ((ax.get_yticklabels(), "y0", "y1"), (ax.get_xticklabels(), "x0", "x1")):
        boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: getattr(box, low))
        for box in boxes:
            assert box.x0 >= 0
            assert box.y0 >= 0
        for one, other in pairwise(boxes):
            assert getattr(one, high) <= getattr(other, low) + 1
        assert len(set(names(labels))) == len(labels)
    assert min(ax.get_window_extent().size) > 1.5 * ax.figure.dpi


def test_a_layer_without_a_number_is_hatched_and_its_reason_said():
    values = shares(4, 5)
    values[2], values[:, 1] = np.nan, np.nan
    same = "it returned the same for every sample"
    view = replace(
        similarity_view(values), undefined=(LayerRemark("a", "blocks.2", same), LayerRemark("b", "fc", same))
    )
    for style in ({}, {"figsize": (3.3, 3)}):
        ax = view.plot(**style)
        ax.figure.canvas.draw()
        hatched = [(patch.get_xy(), patch.get_width(), patch.get_height()) for patch in ax.patches]
        assert hatched == [((-0.5, 1.5), 5, 1), ((0.5, -0.5), 1, 4)]
        words = " ".join(footer_of(ax)).replace("\n", " ")
        assert words == f"8 NaN NaN: 'blocks.2' of a, 'fc' of b: {same}"
        footer = [text for text in ax.figure.findobj(Text) if "NaN" in text.get_text()]
        assert all(text.get_window_extent().x0 >= 0 for text in footer)
        assert all(text.get_window_extent().x1 <= ax.figure.bbox.x1 for text in footer)


def test_many_layers_of_one_reason_are_counted():
    remarks = tuple(LayerRemark("a", f"relu{number}", "it is dead") for number in range(9))
    view = replace(similarity_view(np.full((9, 3), np.nan)), undefined=remarks)
    words = " ".join(footer_of(view.plot())).replace("\n", " ")
    assert "NaN: 'relu0' of a, 'relu1' of a, 'relu2' of a and 6 more: it is dead" in words


def test_a_model_itself_is_named_output():
    ax = similarity_view(shares(1, 1), [""], [""]).plot()
    assert names(ax.get_yticklabels()) == names(ax.get_xticklabels()) == ["output"]


def test_no_layers_are_told():
    ax = similarity_view(np.zeros((0, 3))).plot()
    assert names(ax.texts) == ["no values: 0 × 3"]


@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")  # matplotlib's own, where no font has a letter
def test_names_in_any_script_are_drawn(renderer):
    view = similarity_view(shares(2, 2), ["層1", "層2"], ["слой", "שכבה"])
    assert renderer.png(view).startswith(b"\x89PNG")
    assert names(view.plot().get_yticklabels()) == ["層1", "層2"]
