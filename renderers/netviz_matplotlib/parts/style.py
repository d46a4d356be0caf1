"""The options that a caller may give, checked before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import matplotlib
from matplotlib.colors import Colormap

from netviz_core.renderer_api import InputError, Look, nearest, shown


@dataclass(frozen=True)
class Style(Look):
    """How a view is to look: every option there is, and what each does.

    Which kinds of views have them is `netviz_matplotlib.catalogue.CATALOGUE.options`; what has no effect is refused.

    Parameters
    ----------
    title : str, optional
        Instead of the view's own; empty for none.
    cmap : str or Colormap, optional
        Instead of the colours chosen for the view's limits.
    colorbar : bool
        Whether to draw one, or the legend of a graph, where there are colours to explain.
    figsize : tuple of float, optional
        Width and height of a new figure in inches.
    dpi : float, optional
        Dots per inch of a new figure.
    limits : tuple of float, optional
        The lowest and the highest value of the colours, instead of the view's own.
    fontsize : float, optional
        In points, instead of rcParams' ``font.size``; titles are larger, labels smaller, in the usual proportions.
    given : frozenset of str
        The names of those that the caller gave.
    """

    cmap: str | Colormap | None = None
    dpi: float | None = None

    renderer: ClassVar[str] = "matplotlib"

    def refuse_figure_options(self) -> None:
        """Raise an `InputError` if an option is set that only a new figure can have."""
        if self.figsize is not None or self.dpi is not None:
            raise InputError("figsize and dpi are for a new figure; the ax given has a figure of its own")

    def colormap(self, default: str) -> Colormap:
        """The colours asked for, else those of the name `default`."""
        return matplotlib.colormaps.get_cmap(self.cmap or default)

    def check(self) -> None:
        """See `netviz_core.renderer_api.Look`."""
        super().check()
        if isinstance(self.cmap, str):
            if self.cmap not in matplotlib.colormaps:
                hint = nearest(self.cmap, matplotlib.colormaps)
                raise InputError(f"matplotlib has no colormap {self.cmap!r}; {hint}")
        elif not isinstance(self.cmap, Colormap | None):
            raise InputError(f"cmap={shown(self.cmap)} is neither a colormap nor the name of one")
