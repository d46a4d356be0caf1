"""What a comparison said, held against what was planted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import netviz_core as nv

REMARKS = frozenset(
    (
        "momentum", "rounding", "rate", "precision", "mapping", "outputs", "not finite", "structure", "input",
        "training settings", "not compared", "not deterministic",
    )
)  # fmt: skip
"""Names of causes that say something besides, and blame no layer."""


class NoEffect(Exception):
    """What was planted does not show: it is no fault on this input."""


class WrongRecipe(Exception):
    """The recipe itself is wrong: what is said to be a right port is none."""


class Named(NamedTuple):
    """A place that a comparison named."""

    path_a: str
    path_b: str
    note: str
    causes: tuple[Any, ...]


@dataclass(frozen=True)
class Planted:
    """One fault: its kind, the places that count as right, and what may be said of it."""

    kind: str
    at_b: frozenset[str]
    """Paths of b that count."""
    at_a: frozenset[str] = frozenset()
    """Paths of a that count where b has nothing to name."""
    near: frozenset[str] = frozenset()
    """Neighbours that count, too, where the fault is a function, between layers."""
    causes: frozenset[str] = frozenset()
    """Names of causes that are right."""
    words: tuple[str, ...] = ()
    """Words of which one tells the cause in a text."""
    true: frozenset[str] = frozenset()
    """Names of causes that are true, and say less."""

    def is_at(self, place: Named) -> bool:
        """Whether a place that was named is this fault's."""
        a, b = _path(place.path_a), _path(place.path_b)
        if b in self.near or any(b == one or b.startswith(f"{one}.") for one in self.at_b):
            return True
        if b == "" and a in self.at_a - {""}:
            return True
        if not self.near or "between" not in place.note:
            return False
        said = f"{place.note} {' '.join(cause.text for cause in place.causes)}"
        return any(f"'{one}'" in said for one in self.at_b | self.near if one)

    def tells(self, cause: Any) -> bool:
        return cause.name in self.causes or any(word in cause.text.lower() for word in self.words)

    def allows(self, cause: Any) -> bool:
        return self.tells(cause) or cause.name in self.true


def _path(path: str | None) -> str:
    return path or ""


class Made(NamedTuple):
    """Two models, what they see, and the faults of b; none for a right port."""

    a: Any
    b: Any
    x: Any
    planted: tuple[Planted, ...] = ()
    settings: dict[str, Any] = {}  # noqa: RUF012 it is handed on, and never written to


@dataclass(frozen=True)
class Case:
    """A recipe: its name, what it belongs to, and how it is made."""

    name: str
    group: str
    """``right``, ``faults``, ``real``, or ``real faults``."""
    family: str
    make: Callable[[], Made]


@dataclass
class Verdict:
    """How one comparison did."""

    name: str
    group: str
    family: str
    planted: list[str] = field(default_factory=list)
    places: list[bool] = field(default_factory=list)
    causes: list[bool] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What was confirmed, and is not so."""
    alarms: list[str] = field(default_factory=list)
    """Places that were blamed, and have no fault."""
    status: str = "compared"
    """``compared``, ``no effect``, ``error``, ``recipe`` (which is wrong), or ``time``."""
    said: str = ""
    seconds: float = 0.0

    @property
    def is_right(self) -> bool:
        return (
            self.status in ("compared", "no effect")
            and not self.alarms
            and not self.wrong
            and (all(self.places) and all(self.causes))
        )


def judged(case: Case) -> Verdict:
    """Make the two models, compare them, and hold what was said against what is so."""
    verdict = Verdict(case.name, case.group, case.family)
    try:
        made = case.make()
    except NoEffect as reason:
        verdict.status, verdict.said = "no effect", str(reason)
        return verdict
    except Exception as error:
        verdict.status, verdict.said = "recipe", f"{type(error).__name__}: {error}"
        return verdict
    verdict.planted = [fault.kind for fault in made.planted]
    start = time.perf_counter()
    try:
        found = nv.compare(made.a, made.b, made.x, **made.settings)
    except Exception as error:
        verdict.status, verdict.said = "error", f"{type(error).__name__}: {error}"
        verdict.places = verdict.causes = [False] * len(made.planted)
        return verdict
    finally:
        verdict.seconds = time.perf_counter() - start
    _hold(verdict, found, made.planted)
    return verdict


def named(found: Any) -> list[Named]:
    """The places that were named, each with its causes."""
    faults = getattr(found, "faults", None)
    if faults is None:
        faults = [found.first_divergence] if found.first_divergence is not None else []
    causes = [cause for cause in found.causes if "without effect" not in cause.text]
    places = [
        Named(one.path_a, one.path_b, getattr(one, "pair", one).note, tuple(getattr(one, "causes", ())))
        for one in faults
    ]
    return [
        place._replace(causes=place.causes or tuple(c for c in causes if _same(c, place) or len(places) == 1))
        for place in places
    ]


def _same(cause: Any, place: Named) -> bool:
    return _path(cause.path_b) == _path(place.path_b) and _path(cause.path_a) == _path(place.path_a)


def _hold(verdict: Verdict, found: Any, planted: tuple[Planted, ...]) -> None:
    places = named(found)
    own = [[place for place in places if fault.is_at(place)] for fault in planted]
    verdict.places = [bool(one) for one in own]
    verdict.causes = [
        any(fault.tells(cause) for place in one for cause in place.causes)
        for fault, one in zip(planted, own, strict=True)
    ]
    for place in places:
        faults = [fault for fault, one in zip(planted, own, strict=True) if place in one]
        blamed = f"{place.path_a!r} / {place.path_b!r}"
        if not faults:
            verdict.alarms.append(blamed)
        for cause in place.causes:
            if (
                cause.confirmed
                and cause.name not in REMARKS
                and not any(fault.allows(cause) for fault in faults)
            ):
                verdict.wrong.append(f"{blamed}: {cause.name}: {cause.text[:120]}")
    if not planted and not found.agrees and not verdict.alarms:
        verdict.alarms.append("does not agree")
    verdict.wrong = list(dict.fromkeys(verdict.wrong))
    verdict.said = str(found).strip().splitlines()[0]
