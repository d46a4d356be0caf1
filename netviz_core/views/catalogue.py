"""Which kinds of views a renderer draws, with what, and which of its options have an effect on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..words.errors import InputError, UnsupportedError
from .base import View
from .histogram import Histogram
from .looks import Look
from .overlays import Overlays
from .side_by_side import SideBySide
from .tiles import TileGrid

ONLY_SOME = ("cmap", "limits", "colorbar")
"""The options of `Look` that only some kinds of views have; each `Panel` names its own."""


@dataclass(frozen=True)
class Panel:
    """How one kind of view is drawn; a renderer's own may know more.

    Parameters
    ----------
    size : callable
        Gives width and height, in inches, of what suits a view.
    draw : callable
        Draws a view into a place of the renderer's.
    options : tuple of str
        Which of the options in `ONLY_SOME` have an effect; the others have one everywhere.
    """

    size: Callable[[Any], tuple[float, float]]
    draw: Callable[..., None]
    options: tuple[str, ...] = ()


AnyPanel = TypeVar("AnyPanel", bound=Panel)


class Catalogue(Generic[AnyPanel]):
    """The panels of a renderer.

    Parameters
    ----------
    look : type of Look
        The renderer's options.
    panels : mapping from type of View to Panel
        Of several that fit a view, the first draws it.
    of_colours : tuple of str
        The options without an effect on views that have colours of their own.
    """

    def __init__(
        self, look: type[Look], panels: Mapping[type[View], AnyPanel], of_colours: tuple[str, ...] = ("cmap",)
    ) -> None:
        self._renderer, self._panels, self._of_colours = look.renderer, panels, of_colours
        self.options: Mapping[str, tuple[str, ...]] = {
            kind.__name__: tuple(
                name for name in look.options() if name not in ONLY_SOME or name in panel.options
            )
            for kind, panel in panels.items()
        }
        """Every option that has an effect, by the name of the kind of view; those of `SideBySide` are its views'."""

    def panel_for(self, view: View) -> AnyPanel:
        """How to draw `view`.

        Raises
        ------
        UnsupportedError
            If it is of no kind known here.
        """
        for kind, panel in self._panels.items():
            if isinstance(view, kind):
                return panel
        known = ", ".join(kind.__name__ for kind in (*self._panels, SideBySide))
        raise UnsupportedError(
            f"the {self._renderer} renderer cannot draw a {type(view).__name__}; it draws {known}"
        )

    def require_effect(self, view: View, given: Iterable[str]) -> None:
        """Refuse options that change nothing about a figure of this view.

        Raises
        ------
        InputError
            It names the kinds of views that have the option.
        """
        parts = view.views if isinstance(view, SideBySide) else (view,)
        for name in given:
            for part in parts if name in ONLY_SOME else ():
                self._require_effect(name, part)

    def _require_effect(self, name: str, view: View) -> None:
        kind = type(view).__name__
        if name not in self.panel_for(view).options:
            having = ", ".join(kind for kind, options in self.options.items() if name in options)
            advice = "; give limits= to netviz_core.histogram" * (
                name == "limits" and isinstance(view, Histogram)
            )
            raise InputError(f"{name}= has no effect on a {kind}; it has one on {having}{advice}")
        if name in self._of_colours and (reason := _without_colours(view)):
            raise InputError(f"{name}= has no effect on this {kind}, as {reason}")


def _without_colours(view: View) -> str:
    """Why a colormap has no effect on a view, if it has none."""
    if isinstance(view, TileGrid) and view.is_rgb:
        return "tiles of red, green and blue have their own colours; rgb=False shows channels apart"
    if isinstance(view, Overlays) and view.heat is None:
        return "it has no heat, the one thing that a colormap would colour"
    return ""
