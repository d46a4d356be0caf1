"""Sizes in inches: what a reader sees, whatever the resolution."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def figure_of(ax: Axes) -> Figure:
    """The figure that an Axes is on, subfigures aside."""
    figure = ax.get_figure(root=True)
    assert figure is not None, "an Axes that is drawn is on a figure"
    return figure


def width_of(ax: Axes) -> float:
    """How wide an Axes is now."""
    return float(ax.get_window_extent().width / figure_of(ax).dpi)


def height_of(ax: Axes) -> float:
    """How high an Axes is now."""
    return float(ax.get_window_extent().height / figure_of(ax).dpi)


def is_laid_out(ax: Axes) -> bool:
    """Whether the figure makes room for what stands around an Axes, at the expense of the Axes."""
    return ax.get_subplotspec() is not None and figure_of(ax).get_layout_engine() is not None


def room_for(ax: Axes) -> tuple[float, float]:
    """Width and height of an Axes with all that stands around it, where it is laid out: its share of the figure."""
    spec = ax.get_subplotspec()
    assert spec is not None, "an Axes that is laid out is part of a grid"
    rows, columns = spec.get_gridspec().get_geometry()
    width, height = figure_of(ax).get_size_inches()
    return width * len(spec.colspan) / columns - 2 * _PAD, height * len(spec.rowspan) / rows - 2 * _PAD


def width_below(ax: Axes) -> float:
    """Inches that notes below an Axes may take: those of the whole figure, where nothing stands beside it."""
    spec = ax.get_subplotspec()
    is_alone = spec is not None and spec.get_gridspec().get_geometry() == (1, 1)
    return room_for(ax)[0] if is_alone and is_laid_out(ax) else width_of(ax)


_PAD = 0.06
"""A little more than constrained layout leaves at each side."""

LEFT, RIGHT, BARE = 0.6, 0.8, 2 * _PAD
"""Beside an Axes, for numbers on the left and a colour bar on the right; in all, where nothing stands there."""
