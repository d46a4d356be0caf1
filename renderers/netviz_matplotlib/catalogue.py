"""Which views this renderer draws, and with what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netviz_core.renderer_api import (
    AttentionMaps,
    Comparison,
    Graph,
    Heatmap,
    Histogram,
    HistogramPair,
    HistogramRows,
    HistoryHeatmap,
    HistoryHistogram,
    InputError,
    LayerMeasures,
    Overlays,
    SideBySide,
    SimilarityMatrix,
    TileGrid,
    TopLosses,
    UnsupportedError,
    View,
    shared_strengths,
)

from .panels import (
    attention,
    comparison,
    graph,
    heatmap,
    histogram,
    histogram_pair,
    histogram_rows,
    history_heatmap,
    history_histogram,
    measures,
    overlays,
    similarity,
    tiles,
    top_losses,
)
from .parts.colours import ColourScale
from .parts.histogram_axes import Frame
from .parts.inches import BARE, LEFT, RIGHT


@dataclass(frozen=True)
class Panel:
    """How one kind of view is drawn into one Axes.

    Parameters
    ----------
    size : callable
        Gives width and height, in inches, of the Axes that suits a view.
    scale : callable
        Gives the colours that a colour bar should explain, or None; of a view and a style.
    label : callable
        Gives the colour bar's label.
    draw : callable
        Draws everything but title and colour bar; of an Axes, a view and a style.
    around : float
        Inches above and below the Axes, for a title of one line and what stands below.
    options : tuple of str
        Which of the options in `ONLY_SOME` have an effect; the others of `Style` have one everywhere.
    without_colours : callable, optional
        Says why ``cmap`` has no effect on a view of this kind; empty where it has one.
    frame : callable, optional
        Gives what several views share when they are drawn side by side, such as their axes;
        `scale` and `draw` then take it as ``frame=``.
    beside : float
        Inches on both sides of the Axes; the figure's layout then finds what is really needed.
    """

    size: Callable[[Any], tuple[float, float]]
    scale: Callable[..., ColourScale | None]
    label: Callable[[Any], str]
    draw: Callable[..., None]
    around: float
    options: tuple[str, ...] = ()
    without_colours: Callable[[Any], str] = lambda view: ""
    frame: Callable[[Sequence[Any]], Any] | None = None
    beside: float = LEFT + RIGHT


def _panel(module: Any, around: float, options: str = "", **special: Any) -> Panel:
    """The panel of a module that draws one kind of view."""
    return Panel(
        module.size, module.scale, module.label, module.draw, around, tuple(options.split()), **special
    )


_PANELS: Mapping[type[View], Panel] = {
    AttentionMaps: _panel(attention, 0.85, "cmap limits colorbar"),
    TileGrid: _panel(
        tiles, 0.65, "cmap limits colorbar", without_colours=tiles.without_colours, frame=shared_strengths
    ),
    Heatmap: _panel(heatmap, 0.85, "cmap limits colorbar"),
    HistogramRows: _panel(histogram_rows, 0.85, "cmap colorbar"),
    Histogram: _panel(histogram, 1.2, frame=Frame.around),
    HistogramPair: _panel(histogram_pair, 1.2),
    Comparison: _panel(comparison, 1.2),
    Graph: _panel(graph, 0.55, "colorbar", beside=BARE),
    TopLosses: _panel(top_losses, 0.65, "cmap colorbar", without_colours=overlays.without_colours),
    Overlays: _panel(overlays, 0.65, "cmap colorbar", without_colours=overlays.without_colours),
    LayerMeasures: _panel(measures, 0.85, "cmap"),
    SimilarityMatrix: _panel(similarity, 0.85, "cmap colorbar"),
    HistoryHeatmap: _panel(history_heatmap, 0.85, "cmap limits colorbar"),
    HistoryHistogram: _panel(history_histogram, 0.85, "cmap colorbar", frame=history_histogram.Frame.around),
}


ONLY_SOME = ("cmap", "limits", "colorbar")
"""The options of `Style` that only some kinds of views have; each `Panel` names its own."""

OPTIONS: Mapping[str, tuple[str, ...]] = {
    kind.__name__: ("title", *panel.options, "fontsize", "figsize", "dpi") for kind, panel in _PANELS.items()
}
"""Every option that has an effect, by the name of the kind of view; those of `SideBySide` are those of its views."""


def require_effect(view: View, given: Iterable[str]) -> None:
    """Refuse options that change nothing about a figure of this view.

    Raises
    ------
    InputError
        It names the kinds of views that have the option.
    """
    parts = view.views if isinstance(view, SideBySide) else (view,)
    for name in given:
        for part in parts if name in ONLY_SOME else ():
            if name not in panel_for(part).options:
                having = ", ".join(kind for kind, options in OPTIONS.items() if name in options)
                advice = "; give limits= to netviz_core.histogram" * (
                    name == "limits" and isinstance(part, Histogram)
                )
                raise InputError(
                    f"{name}= has no effect on a {type(part).__name__}; it has one on {having}{advice}"
                )
            if name == "cmap" and (reason := panel_for(part).without_colours(part)):
                raise InputError(f"cmap= has no effect on this {type(part).__name__}, as {reason}")


def panel_for(view: View) -> Panel:
    """How to draw `view`.

    Raises
    ------
    UnsupportedError
        If it is of no kind known here.
    """
    for kind, panel in _PANELS.items():
        if isinstance(view, kind):
            return panel
    known = ", ".join(kind.__name__ for kind in (*_PANELS, SideBySide))
    raise UnsupportedError(f"the matplotlib renderer cannot draw a {type(view).__name__}; it draws {known}")


def panels_for(views: Sequence[View]) -> list[Panel]:
    """How to draw views side by side: in one frame, if they are of one kind that has frames."""
    panels = [panel_for(view) for view in views]
    frame_around = panels[0].frame
    if frame_around is None or any(panel is not panels[0] for panel in panels):
        return panels
    frame = frame_around(views)
    draw, scale = partial(panels[0].draw, frame=frame), partial(panels[0].scale, frame=frame)
    return [replace(panels[0], draw=draw, scale=scale)] * len(panels)
