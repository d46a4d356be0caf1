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
