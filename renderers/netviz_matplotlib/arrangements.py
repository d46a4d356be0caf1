"""A view on a figure: alone, or several next to one another."""

from __future__ import annotations

from typing import Any, Protocol

from matplotlib.figure import Figure

from netviz_core.renderer_api import SideBySide, View, within

from .catalogue import CATALOGUE, panels_for
from .parts.style import Style
from .row import Row
from .single import Single


class Arrangement(Protocol):
    """A view with its style, ready to be drawn."""

    def figure_size(self) -> tuple[float, float]:
        """Width and height in inches of the figure that suits it."""

    def letters(self, width: float) -> float | None:
        """The points of letters that a figure of so many inches needs; None for those of the user's settings."""

    def draw_on(self, figure: Figure) -> Any:
        """Draw on an empty figure; returns what `MatplotlibRenderer.plot` does."""

    def draw_into(self, ax: Any) -> Any:
        """Draw into what the caller gave; returns what `MatplotlibRenderer.plot` does."""


def arrange(view: View, style: Style) -> Arrangement:
    """Prepare a view of any kind that is known.

    Raises
    ------
    InputError
        If an option was given that has no effect on it.
    UnsupportedError
        If it is of none.
    """
    CATALOGUE.require_effect(view, style.given)
    view = within(view, style.limits)
    if isinstance(view, SideBySide):
        return Row(view, style, panels_for(view.views))
    return Single(view, style, CATALOGUE.panel_for(view))
