"""Trains, draws, writes the page: the demo from beginning to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..arrays import AxisArray, images
from ..errors import NetvizError
from ..views.base import View
from .figures import FOR_EACH, TOGETHER
from .page import Drawn, write_page
from .training import Participants, Report, Trained, load_digits, train_everywhere

_FOLLOWED = 5
"""Which of the held-out digits is followed through the networks: a clearly written one."""


@dataclass(frozen=True)
class Demo:
    """What the demo made.

    Parameters
    ----------
    page : Path
        The ``index.html`` to open.
    notes : tuple of str
        How each framework fared, and what to install for those that are not there.
    """

    page: Path
    notes: tuple[str, ...]


def demo(folder: Path) -> Demo:
    """Train a small network on handwritten digits in each framework installed, and draw what it learned.

    Shows its progress on stderr. Takes under half a minute on two cores.

    Parameters
    ----------
    folder : Path
        Where to write ``index.html`` and the figures; files of the same names are replaced.

    Returns
    -------
    Demo

    Raises
    ------
    NetvizError
        If scikit-learn is not installed, or no framework that can take part.
    OSError
        If the folder cannot be written, which is found out first.
    """
    target = folder / "index.html"
    folder.mkdir(parents=True, exist_ok=True)
    target.touch()
    learn, held_out = load_digits()
    with _progress_bars() as bars:
        participants = train_everywhere(learn, held_out, lambda name: _training_bar(bars, name))
        notes = _notes(participants)
        if not participants.trained:
            raise NetvizError("; ".join(["no framework can take part in the demo", *notes]))
        drawn = _draw_all(participants.trained, images(held_out.images[_FOLLOWED]), folder, bars)
    write_page(target, participants.trained, held_out.picture(_FOLLOWED), drawn, notes)
    return Demo(target, (*(f"{run.framework}: {run.result}" for run in participants.trained), *notes))


def _notes(participants: Participants) -> list[str]:
    """What to say of those that are not there: a framework not installed is missed only if there are not two."""
    missed = participants.missing if len(participants.trained) < 2 else []
    return [*participants.failed, *missed]


def _draw_all(trained: Sequence[Trained], digit: AxisArray, folder: Path, bars: Progress) -> list[Drawn]:
    together = TOGETHER if len(trained) > 1 else ()
    task = bars.add_task("drawing", total=len(FOR_EACH) * len(trained) + len(together), detail="")

    def save(view: View, name: str) -> str:
        view.save(folder / name)
        bars.advance(task)
        return name

    drawn = [
        Drawn(
            figure,
            {
                run.framework: save(
                    figure.draw(run.untrained, run.trained, digit), f"{run.framework}-{figure.slug}.png"
                )
                for run in trained
            },
        )
        for figure in FOR_EACH
    ]
    models = {run.framework: run.trained for run in trained}
    label = " and ".join(models)
    return drawn + [Drawn(f, {label: save(f.draw(models, digit), f"{f.slug}.png")}) for f in together]


def _progress_bars() -> Progress:
    return Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
        console=Console(stderr=True),
    )


def _training_bar(bars: Progress, name: str) -> Report:
    task = bars.add_task(f"loading {name}", total=None, detail="")

    def report(step: int, steps: int, loss: float) -> None:
        bars.update(
            task, description=f"training {name}", completed=step, total=steps, detail=f"loss {loss:.3f}"
        )

    return report
