"""One page of HTML for a model, for a colleague or an issue tracker."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models.network import wrap
from ..pages.document import document, section
from ..words.cards import PROSE, TEXT, Record, Telling, Told, soft, table, words
from ..words.progress import step, steps
from ..words.whole_files import replace_file
from .sections import SECTIONS, Asked


@dataclass(frozen=True, repr=False)
class ReportSection(Record):
    """A part of a report.

    Parameters
    ----------
    heading : str
    html : str
        What stands in it; of one that failed, the reason.
    failure : str
        Why it is not what it should be; empty if it is.
    """

    heading: str
    html: str
    failure: str = ""


@dataclass(frozen=True, repr=False)
class Report(Telling):
    """A model on one page; made by `report`.

    Parameters
    ----------
    title : str
    verdict : str
        The sentence that counts.
    state : {"", "fine", "doubtful", "odd"}
        What the verdict amounts to.
    sections : tuple of ReportSection
    """

    title: str
    verdict: str
    state: str
    sections: tuple[ReportSection, ...]

    @property
    def failures(self) -> dict[str, str]:
        """Why sections are not what they should be, by their headings."""
        return {part.heading: part.failure for part in self.sections if part.failure}

    def to_html(self) -> str:
        """The page: it needs no other file and no network."""
        entries = "".join(
            f'<li><a href="#{_id(part)}">{words(part.heading)}</a></li>' for part in self.sections
        )
        parts = (section(part.heading, part.html, id=_id(part)) for part in self.sections)
        return document(self.title, [f"<nav><ul>{entries}</ul></nav>", *parts], self.verdict, self.state)

    def save(self, path: str | Path) -> None:
        """Write the page to exactly `path`; a file that exists is replaced.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        page = self.to_html().encode("utf-8")
        replace_file(path, lambda file: file.write_bytes(page))

    def __repr__(self) -> str:
        return f"<Report {self.title!r}: {len(self.sections)} sections>"

    def _told(self) -> Told:
        rows = [(part.heading, part.failure or "is there") for part in self.sections]
        sections = table({"section": TEXT, "": PROSE}, rows, list, lambda row: row[1] != "is there")
        return Told(self.verdict, [sections, soft(".save(path) writes the page.")], self.state)


def report(
    model: Any,
    x: Any = None,
    *,
    targets: Any = None,
    loss: str | None = None,
    title: str | None = None,
    progress: bool = True,
) -> Report:
    """Gather what can be seen of a model on one page.

    Parameters
    ----------
    model : native model, path, or Network
    x : array, native tensor, AxisArray, or a tuple or dict of them, optional
        The model's input, a batch; by default one of the model's own data, where it comes with some. Without one,
        the page has what can be told from the model alone.
    targets, loss : optional
        As for `netviz_core.health`, which then looks at gradients, too.
    title : str, optional
        What stands above; by default what the model is.
    progress : bool
        Whether to show which section is being made, once that takes more than two seconds.

    Returns
    -------
    Report
        ``.save("model.html")`` writes it. A section that failed holds the reason instead; `Report.failures` has them.

    Raises
    ------
    UnknownModelError
        If no backend knows the model.
    InputError
        If `x` is no input at all; one that the model does not take is told on the page.

    Notes
    -----
    Costs a pass or two for each section; nothing of the model is changed.

    Examples
    --------
    >>> import numpy as np
    >>> from netviz_core.testing import example_model
    >>> found = report(example_model(), np.ones((2, 1, 8, 8), "float32"))
    >>> [part.heading for part in found.sections][:3]
    ['Health', 'Layers', 'Kernels']
    """
    network = wrap(model)
    with steps("report", progress):
        asked = Asked(network, x, targets, loss)
        made = []
        for number, (heading, make) in enumerate(SECTIONS.items()):
            step(heading.lower(), number, len(SECTIONS))
            made.append(_section(heading, make, asked))
    return Report(
        title or f"{network.layers[''].type_name} · report",
        asked.verdict,
        asked.state,
        tuple(part for part in made if part is not None),
    )


def _section(heading: str, make: Callable[[Asked], Iterable[str]], asked: Asked) -> ReportSection | None:
    """A section, or why there is none; None where it does not apply to this model."""
    try:
        html = "\n".join(make(asked))
    except Exception as error:  # whatever a model raises must not take the rest of the page along
        return _failed(heading, asked.why(error))
    return ReportSection(heading, html) if html else None


def _failed(heading: str, why: str) -> ReportSection:
    return ReportSection(heading, soft(f"Not shown: {why}"), why)


def _id(part: ReportSection) -> str:
    return part.heading.lower().replace(" ", "-")
