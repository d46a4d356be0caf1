"""The options that a caller may give, checked before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import matplotlib
from matplotlib.colors import Colormap

from netviz_core.renderer_api import InputError, nearest, shown


@dataclass(frozen=True)
class Style:
    """How a view is to look: every option there is, and what each does.

    Which kinds of views have them is `netviz_matplotlib.catalogue.OPTIONS`, from which what has no effect is refused.

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

    title: str | None = None
    cmap: str | Colormap | None = None
    colorbar: bool = True
    figsize: tuple[float, float] | None = None
    dpi: float | None = None
    limits: tuple[float, float] | None = None
    fontsize: float | None = None
    given: frozenset[str] = frozenset()

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Style:
        """Check the options of a caller.

        Raises
        ------
        InputError
            If one is unknown or has a value it cannot have.
        """
        known = [field.name for field in fields(cls) if field.name != "given"]
        for name in options:
            if name not in known:
                raise InputError(f"the matplotlib renderer has no option {name!r}; it has {', '.join(known)}")
        style = cls(**options, given=frozenset(options))
        style._check()
        return style

    def refuse_figure_options(self) -> None:
        """Raise an `InputError` if an option is set that only a new figure can have."""
        if self.figsize is not None or self.dpi is not None:
            raise InputError("figsize and dpi are for a new figure; the ax given has a figure of its own")

    def colormap(self, default: str) -> Colormap:
        """The colours asked for, else those of the name `default`."""
        return matplotlib.colormaps.get_cmap(self.cmap or default)

    def _check(self) -> None:
        if isinstance(self.cmap, str):
            if self.cmap not in matplotlib.colormaps:
                hint = nearest(self.cmap, matplotlib.colormaps)
                raise InputError(f"matplotlib has no colormap {self.cmap!r}; {hint}")
        elif not isinstance(self.cmap, Colormap | None):
            raise InputError(f"cmap={shown(self.cmap)} is neither a colormap nor the name of one")
        if self.title is not None and not isinstance(self.title, str):
            raise InputError(f"title={shown(self.title)} is not a string")
        if not isinstance(self.colorbar, bool):
            raise InputError(f"colorbar={shown(self.colorbar)} is neither True nor False")
        if self.limits is not None and not _are_limits(self.limits):
            raise InputError(
                f"limits={shown(self.limits)} are not a lower and a higher number such as (-1, 1)"
            )
        if self.dpi is not None and not _is_positive(self.dpi):
            raise InputError(f"dpi={shown(self.dpi)} is not a positive number")
        if self.fontsize is not None and not _is_positive(self.fontsize):
            raise InputError(f"fontsize={shown(self.fontsize)} is not a positive number of points")
        if self.figsize is not None and not _is_size(self.figsize):
            raise InputError(
                f"figsize={shown(self.figsize)} is not a width and height in inches such as (6, 4)"
            )


def _is_positive(number: Any) -> bool:
    is_number = isinstance(number, Real) and not isinstance(number, bool)
    return is_number and math.isfinite(number) and float(number) > 0


def _are_limits(limits: Any) -> bool:
    is_pair = isinstance(limits, tuple | list) and len(limits) == 2
    return (
        is_pair
        and all(isinstance(end, Real) and math.isfinite(end) for end in limits)
        and limits[0] < limits[1]
    )


def _is_size(size: object) -> bool:
    return isinstance(size, tuple | list) and len(size) == 2 and all(map(_is_positive, size))
