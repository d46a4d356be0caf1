"""Trains, draws, writes the page: the demo from beginning to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..views.base import View
from ..words.arrays import AxisArray, images
from ..words.errors import NetvizError, UnsupportedError
from ..words.whole_files import check_writable
from .figures import FOR_EACH, TOGETHER, Figure
from .page import Drawn, write_page
from .training import Digits, Participants, Report, Trained, find_participants, load_digits, train

_FOLLOWED = 10
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
    check_writable(target)
    learn, held_out = load_digits()
    console = Console(stderr=True)
    with console.status("") as status:
        participants = find_participants(lambda name: status.update(f"loading {name}"))
    _require_one(participants)
    with _progress_bars(console) as bars:
        trained = _train_all(participants, learn, held_out, bars)
        drawn = _draw_all(trained, images(held_out.images[_FOLLOWED]), folder, bars)
    write_page(target, trained, held_out.picture(_FOLLOWED), drawn, participants.notes)
    return Demo(target, (*(f"{run.framework}: {run.result}" for run in trained), *participants.notes))


def _require_one(participants: Participants) -> None:
    if not participants.backends:
        raise NetvizError("; ".join(["no framework can take part in the demo", *participants.notes]))


def _train_all(participants: Participants, learn: Digits, held_out: Digits, bars: Progress) -> list[Trained]:
    """Train them one after another; one that fails no longer takes part."""
    trained = []
    for name, backend in list(participants.backends.items()):
        try:
            trained.append(train(name, backend, learn, held_out, _training_bar(bars, name)))
        except Exception as error:
            del participants.backends[name]
            participants.failed.append(
                f"{name} was left out: it failed in the demo: {type(error).__name__}: {error}"
            )
    _require_one(participants)
    return trained


def _draw_all(trained: Sequence[Trained], digit: AxisArray, folder: Path, bars: Progress) -> list[Drawn]:
    together = TOGETHER if len(trained) > 1 else ()
    task = bars.add_task("drawing", total=len(FOR_EACH) * len(trained) + len(together), detail="")

    def save(view: View, name: str) -> str:
        view.save(folder / name)
        bars.advance(task)
        return name

    def of_each(figure: Figure) -> Iterator[tuple[str, str]]:
        for run in trained:
            # Not every backend can be asked everything.
            with suppress(UnsupportedError):
                view = figure.draw(run.untrained, run.trained, digit)
                yield run.framework, save(view, f"{run.framework}-{figure.slug}.png")

    drawn = [Drawn(figure, files) for figure in FOR_EACH if (files := dict(of_each(figure)))]
    models = {run.framework: run.trained for run in trained}
    label = " and ".join(models)
    return drawn + [Drawn(f, {label: save(f.draw(models, digit), f"{f.slug}.png")}) for f in together]


def _progress_bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
        console=console,
    )


def _training_bar(bars: Progress, name: str) -> Report:
    task = bars.add_task(f"training {name}", total=None, detail="")

    def report(step: int, steps: int, loss: float) -> None:
        bars.update(task, completed=step, total=steps, detail=f"loss {loss:.3f}")

    return report
