"""The demo's page: plain HTML in one file, with the figures beside it."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from .._version import __version__
from ..models.network import wrap
from .figures import Figure
from .training import Picture, Trained


@dataclass(frozen=True)
class Drawn:
    """A figure that has been written.

    Parameters
    ----------
    figure : Figure
    files : dict
        What each PNG file shows, and its name; it lies beside the page.
    """

    figure: Figure
    files: dict[str, str]


def write_page(
    target: Path, trained: Sequence[Trained], picture: Picture, drawn: Sequence[Drawn], notes: Sequence[str]
) -> None:
    """Write the page: HTML that needs nothing but the PNG files beside it.

    Parameters
    ----------
    target : Path
    trained : sequence of Trained
    picture : Picture
        The digit that is followed through the networks.
    drawn : sequence of Drawn
    notes : sequence of str
        A sentence for each framework that is not there.
    """
    names = " and ".join(run.framework for run in trained)
    template = Template(resources.files(__package__).joinpath("page.html").read_text("utf-8"))
    html = template.substitute(
        frameworks=escape(names),
        lead=escape(_lead(names, trained)),
        digit=_svg(picture),
        label=picture.label,
        results="\n".join(map(_result, trained)),
        notes=_notes(notes),
        sections="\n".join(map(_section, drawn)),
        version=escape(__version__),
    )
    target.write_text(html, "utf-8")


def _lead(names: str, trained: Sequence[Trained]) -> str:
    subject = "The same small network learned" if len(trained) > 1 else "A small network learned"
    return (
        f"{subject} to read real handwriting in {names}: scikit-learn's 1,797 digits. Each figure was drawn "
        f"by the few lines of Python printed below it. They know no framework."
    )


def _result(run: Trained) -> str:
    tensors = [weight for layer in wrap(run.trained).layers.values() for weight in layer.weights.values()]
    parameters = sum(math.prod(weight.shape) for weight in tensors)
    accuracy = f"{run.right / run.asked:.1%} of {run.asked}"
    cells = (run.framework, accuracy, f"{parameters:,}", f"{run.seconds:.1f} s")
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _notes(notes: Sequence[str]) -> str:
    return f'<div class="notes">{"".join(f"<p>{escape(note)}</p>" for note in notes)}</div>' if notes else ""


def _section(drawn: Drawn) -> str:
    figure = drawn.figure
    shown = "\n".join(
        f'<figure><figcaption>{escape(what)}</figcaption><a href="{escape(file)}">'
        f'<img src="{escape(file)}" alt="{escape(f"{figure.heading}: {what}")}"></a></figure>'
        for what, file in drawn.files.items()
    )
    return (
        f'<section id="{figure.slug}">\n<h2>{escape(figure.heading)}</h2>\n<p>{escape(figure.caption)}</p>\n'
        f'<div class="figures{" wide" if figure.wide else ""}">\n{shown}\n</div>\n'
        f"<pre><code>{escape(_code(figure.draw))}</code></pre>\n</section>"
    )


def _code(draw: Callable[..., object]) -> str:
    """The source of a function as people write it for themselves: without types."""
    names = ", ".join(inspect.signature(draw).parameters)
    source = inspect.getsource(draw).strip()
    return re.sub(r"\A(def \w+)\(.*?\) -> \w+:", rf"\1({names}):", source, flags=re.DOTALL)


def _svg(picture: Picture) -> str:
    height, width = picture.values.shape
    pixels = "".join(
        f'<rect x="{x}" y="{y}" width="1.02" height="1.02" fill="rgb({grey},{grey},{grey})"/>'
        for (y, x), grey in np.ndenumerate((255 * (1 - picture.values)).round().astype(int))
    )
    label = f"A handwritten {picture.label}, {width} by {height} pixels"
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{pixels}</svg>'
