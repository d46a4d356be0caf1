"""What every view can do: it is data first, and draws itself when asked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np

from ..plugins import default_renderer, get_renderer, renderer_for
from ..words.cards import Telling, Told, card, details, fields_of, image, soft
from ..words.errors import BackendLoadError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from ..words.protocols import Layer

DEFAULT_RENDERER = "matplotlib"


class View(Telling):
    """The base of all views: frozen dataclasses of NumPy arrays, complete before they are drawn.

    A view at the end of a notebook cell is shown once, with what it says in words. `plot` draws it where and how you
    say.
    """

    title: str
    source = ""
    """The backend of the model that this is of, where that is known. It is no field: the same code gives the same view
    of a model of any framework. `side_by_side` tells by it whose each view is."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.title!r}>"

    def plot(self, ax: Any = None, *, renderer: str | None = None, **style: Any) -> Any:
        """Draw the view.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where matplotlib is to draw; by default a new figure that ``plt.show()`` will show.
        renderer : str, optional
            The name of another renderer, such as ``plotly``; see `netviz_core.set_default_renderer`.
        **style
            Passed to the renderer: for matplotlib ``title``, ``cmap``, ``limits``, ``colorbar``, ``fontsize``,
            ``figsize`` and ``dpi``, which `netviz_matplotlib.parts.style.Style` describes. One without an effect on
            this kind of view is refused.

        Returns
        -------
        object
            What was drawn into; for matplotlib the `Axes`.

        Raises
        ------
        InputError
            If the renderer or an option of style is unknown, or has no effect on this kind of view.
        """
        drawing = default_renderer() if renderer is None else get_renderer(renderer)
        return drawing.plot(self, ax, **style)

    def save(self, path: str | Path | BinaryIO, *, renderer: str | None = None, **style: Any) -> None:
        """Write the view to exactly `path`, in the format its suffix names (png, svg, pdf, …; html by Plotly).

        Parameters
        ----------
        path : str, path or binary file
            A file that exists is replaced; one that is open, or an ``io.BytesIO()``, is written to, and needs
            ``format=``, such as ``"png"``.
        renderer, **style
            As for `plot`.

        Raises
        ------
        FileFormatError
            If the suffix is none that the renderer writes.
        OSError
            If the file cannot be written.
        """
        writing = renderer_for(_suffix(path, style)) if renderer is None else get_renderer(renderer)
        writing.save(self, path, **style)

    def _told(self) -> Told:
        return Told(self.title)

    def _repr_png_(self) -> bytes | None:
        """The drawing; None where there is nothing to draw with, so that a notebook takes another form."""
        try:
            return _png(self)
        except BackendLoadError:
            return None

    def _repr_html_(self) -> str:
        return self._card(picture(self))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """The card, and its picture for what shows no HTML: drawn once for both."""
        png = self._repr_png_()
        if png is None:
            return {"text/html": self._repr_html_()}
        return {"text/html": self._card(image(png, self.title)), "image/png": png}

    def _card(self, figure: str) -> str:
        told = self._told()
        return card(told.verdict, figure, *told.parts, details("data", fields_of(self)), state=told.state)


def _suffix(path: Any, style: dict[str, Any]) -> str:
    """What the format of a file is called by: the suffix of its path, or ``format=``."""
    told = style.get("format")
    if isinstance(told, str):
        return f".{told}"
    is_path = isinstance(path, str | os.PathLike)
    return os.path.splitext(path)[1] if is_path else ""  # pathlib would take longer to import than this file


def picture(view: View, caption: str = "") -> str:
    """A view as a part of a card: its drawing, or why there is none."""
    try:
        return image(_png(view), view.title, caption)
    except BackendLoadError as error:
        return soft(f"{caption or view.title}: no picture, for {error}")


def _png(view: View) -> bytes:
    return get_renderer(DEFAULT_RENDERER).png(view)


Viewed = TypeVar("Viewed", bound=View)


def of_source(source: str, view: Viewed) -> Viewed:
    """The view itself, which now knows the backend of the model that it is of."""
    object.__setattr__(view, "source", source)
    return view


def layer_title(layer: Layer, details: str) -> str:
    """What a figure of a layer is called: never after its framework."""
    return " · ".join(filter(None, (layer.path, layer.kind, details)))


def require_real(values: np.ndarray[Any, Any], title: str) -> None:
    """Refuse values that have no order, and so no place on a scale.

    Raises
    ------
    InputError
    """
    if np.iscomplexobj(values):
        raise InputError(
            f"{title}: complex values have no order; take their absolute value or one part first"
        )
