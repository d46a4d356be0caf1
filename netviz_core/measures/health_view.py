"""How healthy each layer of a model is, as a view."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..views.measures import LayerMeasures, MeasureLine
from ..words.cards import Record, Told, details, listed
from ..words.observations import Coverage, CoverageByPath
from ..words.text_tables import counted, laid_out, printable
from .health_lines import alarms_in_front


@dataclass(frozen=True, repr=False)
class Thresholds(Record):
    """From where on something is an alarm.

    Parameters
    ----------
    overflow : float
        A value beyond this share of the largest that its dtype can hold.
    saturated : float
        A share of a sigmoid's or tanh's outputs within one per cent of their bounds.
    dead_samples : int
        How many samples there must be before a unit that was always zero counts as dead.
    vanishing, exploding : float
        A gradient's root mean square, divided by that of the gradient with respect to the model's output.
    """

    overflow: float = 0.5
    saturated: float = 0.5
    dead_samples: int = 32
    vanishing: float = 1e-9
    exploding: float = 1e6

    about = ("overflow", "saturated", "dead_samples", "vanishing", "exploding")


@dataclass(frozen=True, repr=False)
class HealthRow(Record):
    """How healthy one layer is.

    Parameters
    ----------
    path, kind : str
    nan_count, inf_count : int
        In what it returned; infinities of either sign.
    zero_fraction, saturated_fraction : float
        Shares of what it returned; `saturated_fraction` only of activations with bounds, NaN for all others.
    minimum, maximum, mean, std : float
        Of the finite values.
    dead_units : int
        How many channels were zero in everything that was seen. Of a layer with several outputs, or without
        weights and called several times, in the output and call where most were.
    unit_count : int
        How many channels there are; 0 where they are not known.
    gradient : float
        The root mean square of the loss' derivative with respect to what it returned; NaN without a loss.
    status : str
        ``ok``, ``warning`` or ``alarm``.
    reason : str
        Why, in words; may be said of a layer that is ok, too.
    finding : str
        The same of a layer that is not ok, in a word or two.
    """

    path: str
    kind: str
    nan_count: int
    inf_count: int
    zero_fraction: float
    saturated_fraction: float
    minimum: float
    maximum: float
    mean: float
    std: float
    dead_units: int
    unit_count: int
    gradient: float
    status: str
    reason: str
    finding: str = ""

    about = ("path", "kind", "status")

    @property
    def measured(self) -> tuple[float, ...]:
        """Its `MEASURES`."""
        is_known = self.unit_count and not math.isnan(self.zero_fraction)
        dead = self.dead_units / self.unit_count if is_known else math.nan
        return (
            self.nan_count + self.inf_count, dead, self.saturated_fraction, self.gradient, self.zero_fraction, self.std,
        )  # fmt: skip


MEASURES = ("non-finite", "dead", "saturated", "gradient", "zeros", "std")
_MOST_LINES, _MOST_REASONS = 40, 8


@dataclass(frozen=True, eq=False, repr=False)
class Health(LayerMeasures):
    """How healthy each layer of a model is; made by `health`.

    Parameters
    ----------
    title, layers, measures, values, marked, findings
        As for `LayerMeasures`: how many values are not finite, the shares of dead units, of saturated values and of
        zeros, gradient and spread, without those that were asked of no layer; marked are layers with an alarm.
    rows : tuple of HealthRow
        In the order in which layers returned.
    first_nonfinite : str or None
        The path of the layer that made the first value that was not finite out of finite ones; None if all
        were finite, or it was the model's input that was not.
    cause : str
        What happened there, in words; empty if all were finite.
    sample_count : int
        How many samples were seen.
    thresholds : Thresholds
    coverage : mapping from str to Coverage
        For every layer asked for, whether it was seen, and if not, why; nothing is said of how such a layer is.
    """

    rows: tuple[HealthRow, ...]
    first_nonfinite: str | None
    cause: str
    sample_count: int
    thresholds: Thresholds
    coverage: Mapping[str, Coverage] = field(default_factory=dict)

    @property
    def is_healthy(self) -> bool:
        """Whether no layer that was seen has an alarm."""
        return not self.alarms and not self.cause

    @property
    def alarms(self) -> tuple[HealthRow, ...]:
        """The rows with an alarm."""
        return tuple(row for row in self.rows if row.status == "alarm")

    @property
    def note(self) -> str:
        """What happened where the first value was not finite."""
        return self.cause

    def lines(self, at_most: int = _MOST_LINES) -> tuple[MeasureLine, ...]:
        """The table line by line: alarms in front, then warnings, then what is well.

        Parameters
        ----------
        at_most : int
            Of more layers, those that follow one another and of which the same is said are one line: those of a
            container, or some dozen in a row.
        """
        return alarms_in_front(self, at_most, [row.path == self.first_nonfinite for row in self.rows])

    def __str__(self) -> str:
        lines = [self.cause] if self.cause else []
        lines += self._findings()
        return "\n".join(
            [*(lines or [self._healthy]), *self._unseen(), *([""] if self.rows else []), *self._text_table()]
        )

    @property
    def _healthy(self) -> str:
        are = "is" if len(self.rows) == 1 else "are"
        return (
            f"{counted(len(self.rows), 'layer')} {are} healthy, over {counted(self.sample_count, 'sample')}"
        )

    def _findings(self) -> Iterator[str]:
        """What is said of layers that are not ok; of many of which the same is said, of the first ones."""
        by_finding: dict[str, list[HealthRow]] = {}
        for row in self.rows:
            if row.status != "ok" and not (self.cause and row.path == self.first_nonfinite):
                by_finding.setdefault(row.finding, []).append(row)
        for finding, rows in by_finding.items():
            shown = rows if len(rows) <= _MOST_REASONS else rows[: _MOST_REASONS - 1]
            yield from (f"{row.path or 'output'}: {row.reason}" for row in shown)
            if len(shown) < len(rows):
                yield f"{len(rows) - len(shown):,} more, up to {rows[-1].path or 'output'}: {finding}"

    def _text_table(self) -> list[str]:
        if not self.rows:
            return []
        lines = self.lines()
        folded = len(lines) < len(self.rows)
        titles = ["layer", *(["layers"] if folded else []), *self.measures, "finding"]
        cells = [
            [
                printable(line.name),
                *([f"{line.count:,}"] if folded else []),
                *line.cells,
                line.finding or "well",
            ]
            for line in lines
        ]
        return laid_out(titles, [0 < n < len(titles) - 1 for n in range(len(titles))], cells)

    def _unseen(self) -> list[str]:
        """The layers that were not seen, those of one reason together."""
        missed = CoverageByPath(self.coverage).missed
        return [f"not seen: {', '.join(paths)}: {reason}" for reason, paths in missed.items()]

    def _told(self) -> Told:
        findings = list(self._findings())
        doubts = "; not all layers were seen" if self._unseen() else ""
        state = "odd" if not self.is_healthy else "doubtful" if findings or doubts else "fine"
        return Told(
            f"{self.cause or (findings[0] if findings else self._healthy)}{doubts}",
            [
                details("what was found", listed(findings), is_open=len(findings) > 1),
                details("layer by layer", self._table()),
                details("not seen", CoverageByPath(self.coverage).table_of_missed(), is_open=True),
            ],
            state,
        )
