"""The options that a caller may give, checked before anything is drawn, and the template of all figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import plotly.graph_objects as go
from plotly.colors import get_colorscale

from netviz_core.renderer_api import InputError, check_look, shown

PIXELS_PER_INCH = 96
_POINTS = 9.0
_GROUNDS = {"light": ("white", "#1a1a1a", "#d0d0d0"), "dark": ("#111418", "#e6e6e6", "#4a4f55")}


@dataclass(frozen=True)
class Style:
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
    dpi : None
        Has no effect on a page.
    given : frozenset of str
        The names of those that the caller gave.
    """

    title: str | None = None
    cmap: str | None = None
    colorbar: bool = True
    figsize: tuple[float, float] | None = None
    limits: tuple[float, float] | None = None
    fontsize: float | None = None
    theme: str = "light"
    dpi: None = None
    given: frozenset[str] = frozenset()

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Style:
        """Check the options of a caller.

        Raises
        ------
        InputError
            If one is unknown or has a value it cannot have.
        """
        if "dpi" in options:
            raise InputError("dpi= has no effect on a figure of Plotly, which has no dots; figsize= has one")
        known = [field.name for field in fields(cls) if field.name not in ("given", "dpi")]
        for name in options:
            if name not in known:
                raise InputError(f"the plotly renderer has no option {name!r}; it has {', '.join(known)}")
        style = cls(**options, given=frozenset(options))
        check_look(style)
        if style.theme not in _GROUNDS:
            raise InputError(f"theme={shown(style.theme)} is neither 'light' nor 'dark'")
        style.colours("viridis")
        return style

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
