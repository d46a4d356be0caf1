"""The tally of a run, by family and by kind of fault, against what is aimed at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from .judging import Verdict


def tally(verdicts: list[Verdict]) -> tuple[str, bool]:
    """The report, and whether all that is aimed at was reached."""
    counted = [one for one in verdicts if one.status not in ("no effect", "recipe")]
    right = [one for one in counted if one.group == "right" or (one.group == "real" and not one.planted)]
    faulty = [one for one in counted if one.planted]
    broken = [one for one in verdicts if one.status == "recipe"]
    places = [found for one in faulty for found in one.places]
    causes = [found for one in faulty for found in one.causes]
    groups = [one for one in faulty if len(one.planted) > 1]
    aims = [
        _aim(
            "false alarms in right ports",
            sum(bool(one.alarms or one.wrong or one.status != "compared") for one in right),
            len(right),
            0,
        ),
        _aim("false alarms beside faults", sum(len(one.alarms) for one in faulty), len(faulty), 0),
        _aim("places right", sum(places), len(places), 0.97),
        _aim("causes right", sum(causes), len(causes), 0.85),
        _aim("confirmed and wrong", sum(len(one.wrong) for one in counted), len(counted), 0),
        _aim(
            "all faults found, of several",
            sum(all(one.places) and bool(one.places) for one in groups),
            len(groups),
            0.95,
        ),
        _aim(
            "errors and time limits", sum(one.status in ("error", "time") for one in counted), len(counted), 0
        ),
    ]
    by_kind = _table("kind of fault", _by_kind(faulty))
    by_family = _table("family", _by(faulty, lambda one: one.family))
    of_right = _table("right ports", _by(right, lambda one: one.family), alarms_only=True)
    failures = [_failure(one) for one in counted if not one.is_right]
    seconds = sorted(one.seconds for one in counted)
    middle = (
        f"{seconds[len(seconds) // 2]:.1f} s a comparison in the middle, {seconds[-1]:.1f} s at most"
        if seconds
        else ""
    )
    parts = [
        of_right, by_family, by_kind,
        "\n".join(["not right:", *failures]) if failures else "",
        "\n".join(["wrong recipes:", *(f"  {one.name}: {one.said[:200]}" for one in broken)]) if broken else "",
        f"{len(right)} right ports, {len(faulty)} faulty ones with {len(places)} faults, "
        f"{sum(one.status == 'no effect' for one in verdicts)} left out because their fault has no effect; {middle}",
        "\n".join(line for line, _ in aims),
    ]  # fmt: skip
    return "\n\n".join(filter(None, parts)), all(met for _, met in aims) and not broken


def _aim(name: str, count: int, total: int, aim: float) -> tuple[str, bool]:
    """A line of the summary: a share that is to be reached, or a count that is to be none."""
    share = count / total if total else 1.0
    met = count == 0 if aim == 0 else share >= aim
    wanted = "none" if aim == 0 else f"{aim:.0%}"
    return f"{name:32}{count:5} of {total:4}  {share:6.1%}   (aim: {wanted}{'' if met else ', MISSED'})", met


def _failure(one: Verdict) -> str:
    lost = [kind for kind, found in zip(one.planted, one.places, strict=False) if not found]
    unsaid = [
        kind
        for kind, place, cause in zip(one.planted, one.places, one.causes, strict=False)
        if place and not cause
    ]
    parts = [
        f"place: {', '.join(lost)}" if lost else "", f"cause: {', '.join(unsaid)}" if unsaid else "",
        f"alarm: {'; '.join(one.alarms)}" if one.alarms else "",
        f"confirmed and wrong: {'; '.join(one.wrong)}" if one.wrong else "",
        one.status if one.status != "compared" else "",
    ]  # fmt: skip
    return f"  {one.name}\n      {' | '.join(filter(None, parts))}\n      {one.said[:160]}"


Row = tuple[int, int, int, int, int]


def _by(verdicts: Iterable[Verdict], key: Callable[[Verdict], str]) -> dict[str, Row]:
    rows: dict[str, Row] = defaultdict(lambda: (0, 0, 0, 0, 0))
    for one in verdicts:
        more = (max(len(one.planted), 1), sum(one.places), sum(one.causes), len(one.wrong), len(one.alarms))
        rows[key(one)] = tuple(a + b for a, b in zip(rows[key(one)], more, strict=True))  # type: ignore[assignment]
    return rows


def _by_kind(verdicts: Iterable[Verdict]) -> dict[str, Row]:
    rows: dict[str, Row] = defaultdict(lambda: (0, 0, 0, 0, 0))
    for one in verdicts:
        alone = len(one.planted) == 1
        for kind, place, cause in zip(one.planted, one.places, one.causes, strict=False):
            more = (1, int(place), int(cause), len(one.wrong) * alone, len(one.alarms) * alone)
            rows[kind] = tuple(a + b for a, b in zip(rows[kind], more, strict=True))  # type: ignore[assignment]
    return rows


def _table(name: str, rows: dict[str, Row], alarms_only: bool = False) -> str:
    if not rows:
        return ""
    heads = ("count", "alarms") if alarms_only else ("count", "place", "cause", "wrong", "alarms")
    lines = [f"{name:44}{''.join(f'{head:>8}' for head in heads)}"]
    for key, row in sorted(rows.items()):
        cells = (row[0], row[4]) if alarms_only else row
        lines.append(f"{key:44}{''.join(f'{cell:8}' for cell in cells)}")
    return "\n".join(lines)
