"""The renderer that netviz finds through its entry point."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from netviz_core.renderer_api import View, replace_file

from .arrangements import Arrangement, arrange
from .files import SUFFIXES, encode, format_of, is_file, keep_letters, letters_of
from .parts.layout import GridLayout
from .parts.style import Style

NOTEBOOK_DPI = 110
FILE_DPI = 200
_ASKED = 120


class MatplotlibRenderer:
    """Draws every view of netviz, alone or side by side.

    Only `plot` without an ``ax`` makes a pyplot figure. No rcParams are changed; those that
    the user has set are followed.

    Examples
    --------
    >>> from netviz_core import kernels
    >>> from netviz_core.testing import example_model
    >>> MatplotlibRenderer().png(kernels(example_model(), "conv1"))[:4]
    b'\\x89PNG'
    """

    name = "matplotlib"
    suffixes = SUFFIXES

    def plot(self, view: View, ax: Any = None, **style: Any) -> Any:
        """Draw `view` into `ax`, or into a new pyplot figure.

        Parameters
        ----------
        view : View
        ax : matplotlib.axes.Axes, optional
            For views side by side, either one `Axes`, which is divided, or one for each view
            (the title over all is then left to the caller).
        **style
            See `netviz_matplotlib.parts.style.Style`; ``figsize`` and ``dpi`` are for a new figure.

        Returns
        -------
        matplotlib.axes.Axes, or numpy.ndarray of them
            An array, one for each view, for views side by side.

        Raises
        ------
        UnsupportedError
            If this renderer does not know views of this type.
        InputError
            If an option of style, or `ax`, is not what it should be, or an option has no effect on this view.
        """
        look = Style.from_options(style)
        arrangement = arrange(view, look)
        points = _letters(arrangement, look)
        with letters_of(points):
            drawn = self._plot(arrangement, look, ax)
            if points is not None:
                axes = np.ravel(np.asarray(drawn, object)).tolist()
                keep_letters(axes if ax is not None else axes[0].figure.axes)
        return drawn

    def _plot(self, arrangement: Arrangement, look: Style, ax: Any) -> Any:
        if ax is not None:
            look.refuse_figure_options()
            return arrangement.draw_into(ax)
        import matplotlib.pyplot as plt

        size = look.figsize or arrangement.figure_size()
        figure = plt.figure(figsize=size, dpi=look.dpi, layout=GridLayout())
        try:
            return arrangement.draw_on(figure)
        except BaseException:
            plt.close(figure)
            raise

    def save(self, view: View, path: Any, *, format: str | None = None, **style: Any) -> None:
        """Write `view` to exactly `path`; the same view gives the same bytes.

        Parameters
        ----------
        view : View
        path : str, path or binary file
            The suffix of a path names the format: png, svg, pdf, jpg, tif or webp. A file that exists
            is replaced, once the new one is complete. To a file such as ``io.BytesIO()`` it is written as it stands.
        format : str, optional
            Instead of the suffix; a file needs one.
        **style
            As for `plot`. With ``figsize`` the file has exactly that size, else margins are
            trimmed.

        Raises
        ------
        FileFormatError
            If the suffix names no format known here.
        OSError
            If the file cannot be written.
        """
        file_format = format_of(path, format)
        look = Style.from_options(style)
        arrangement = arrange(view, look)
        with letters_of(_letters(arrangement, look)):
            figure = _unmanaged_figure(arrangement, look)
            data = encode(figure, file_format, look.dpi or FILE_DPI, trim=look.figsize is None)
        if is_file(path):
            path.write(data)
            return
        replace_file(path, lambda unfinished: unfinished.write_bytes(data))

    def png(self, view: View) -> bytes:
        """Draw `view` as a PNG for a notebook."""
        look = Style()
        return encode(_unmanaged_figure(arrange(view, look), look), "png", NOTEBOOK_DPI, trim=True)

    def under_cursor(self, drawn: Any) -> Iterator[str]:
        """What the axes that `plot` returned tell under the cursor, asked at many places; each text once."""
        for ax in np.ravel(np.asarray(drawn, object)):
            (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
            shares = (np.arange(_ASKED) + 0.5) / _ASKED
            places = left + (right - left) * shares, low + (high - low) * shares
            yield from dict.fromkeys(ax.format_coord(x, y) for x, y in product(*places))


def _letters(arrangement: Arrangement, look: Style) -> float | None:
    """The size of letters that is asked for, or that a figure of the size asked for needs; None for the usual one."""
    if look.fontsize is not None or look.figsize is None:
        return look.fontsize
    return arrangement.letters(look.figsize[0])


def _unmanaged_figure(arrangement: Arrangement, look: Style) -> Figure:
    """A figure that pyplot does not know: it needs no display and goes when nobody holds it."""
    figure = Figure(figsize=look.figsize or arrangement.figure_size(), layout=GridLayout())
    FigureCanvasAgg(figure)
    arrangement.draw_on(figure)
    return figure
