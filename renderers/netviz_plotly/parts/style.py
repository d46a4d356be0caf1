"""The options that a caller may give, checked before anything is drawn, and the template of all figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import plotly.graph_objects as go
from plotly.colors import get_colorscale

from netviz_core.renderer_api import InputError, Look, shown

PIXELS_PER_INCH = 96
_POINTS = 9.0
_GROUNDS = {"light": ("white", "#1a1a1a", "#d0d0d0"), "dark": ("#111418", "#e6e6e6", "#4a4f55")}


@dataclass(frozen=True)
class Style(Look):
    """How a view is to look: every option there is, and what each does.

    Parameters
    ----------
    title : str, optional
        Instead of the view's own; empty for none.
    cmap : str, optional
        The name of a colorscale of Plotly, instead of the colours chosen for the view's limits.
    colorbar : bool
        Whether to draw one, or a legend, where there are colours to explain.
    figsize : tuple of float, optional
        Width and height in inches, of 96 pixels each.
    limits : tuple of float, optional
        The lowest and the highest value of the colours, instead of the view's own.
    fontsize : float, optional
        In points.
    theme : {"light", "dark"}
        The ground of the figure.
    given : frozenset of str
        The names of those that the caller gave.
    """

    cmap: str | None = None
    theme: str = "light"

    renderer: ClassVar[str] = "plotly"

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Style:
        """See `netviz_core.renderer_api.Look`; ``dpi``, which others have, has a reason to be none of them."""
        if "dpi" in options:
            raise InputError("dpi= has no effect on a figure of Plotly, which has no dots; figsize= has one")
        return super().from_options(options)

    def check(self) -> None:
        """See `netviz_core.renderer_api.Look`."""
        super().check()
        if self.theme not in _GROUNDS:
            raise InputError(f"theme={shown(self.theme)} is neither 'light' nor 'dark'")
        self.colours("viridis")

    def colours(self, default: str) -> list[list[Any]]:
        """The colours asked for, else those of the name `default`, as Plotly's colorscale."""
        try:
            return list(get_colorscale(default if self.cmap is None else self.cmap))
        except Exception as error:
            raise InputError(
                f"cmap={shown(self.cmap)} is not the name of a colorscale of Plotly, such as 'viridis' or 'RdBu_r'"
            ) from error

    @property
    def ink(self) -> str:
        """The colour of texts and lines."""
        return _GROUNDS[self.theme][1]

    def template(self) -> go.layout.Template:
        """What all figures have in common."""
        ground, ink, line = _GROUNDS[self.theme]
        axis = {
            "showgrid": False, "zeroline": False, "linecolor": line, "tickcolor": line, "automargin": True,
            "ticks": "outside", "title": {"standoff": 8},
        }  # fmt: skip
        size = (self.fontsize or _POINTS) * PIXELS_PER_INCH / 72
        return go.layout.Template(
            layout={
                "font": {"family": "system-ui, sans-serif", "size": size, "color": ink},
                "title": {"font": {"size": 1.2 * size}, "x": 0.02, "xanchor": "left"},
                "paper_bgcolor": ground, "plot_bgcolor": ground, "xaxis": axis, "yaxis": axis,
                "margin": {"l": 60, "r": 30, "t": 60, "b": 60}, "hoverlabel": {"align": "left", "namelength": -1},
                "bargap": 0, "legend": {"orientation": "h", "y": -0.15, "yanchor": "top", "itemsizing": "constant"},
            }
        )  # fmt: skip
