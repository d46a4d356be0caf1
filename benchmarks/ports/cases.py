"""All cases: every recipe by its name."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from . import networks, transformers_plans
from .attention_rewrites import IN_KERAS, IN_TORCH
from .by_hand import pairs_by_hand
from .catalogue import KINDS, Kind
from .judging import Case, Made
from .plans import Maker, Plan
from .planting import planted, port
from .real_cases import real_faults, real_networks
from .rewrites import NotHere, Rewrite, as_it_is

FAMILIES: dict[str, Maker] = {**networks.FAMILIES, **transformers_plans.FAMILIES}
WAYS = ("torch>torch", "torch>keras", "keras>torch")
PRECISIONS = ("float32", "float32", "bfloat16", "float32", "float16")
FOR_EACH_REWRITE = 4
FOR_EACH_KIND = 5
GROUPS = 130


def _fits(way: str, family: str) -> bool:
    return "keras" not in way or family not in transformers_plans.NOT_IN_KERAS


def rewrites_of(way: str) -> dict[str, Rewrite]:
    return IN_KERAS if way.endswith("keras") else IN_TORCH


def make_right(family: str, way: str, rewrite: str, seed: int, precision: str) -> Made:
    plan = FAMILIES[family]()
    if seed % 5 == 4:
        plan = Plan(plan.family, plan.steps, plan.x[:1], plan.returns)
    made = port(plan, way, rewrites_of(way)[rewrite], seed, precision)
    return made.made(made.b, native=seed % 2 == 1)


def make_faulty(
    family: str, way: str, rewrite: str, kinds: tuple[str, ...], count: int, seed: int, precision: str
) -> Made:
    try:
        made = port(FAMILIES[family](), way, rewrites_of(way)[rewrite], seed, precision)
    except NotHere:
        made = port(FAMILIES[family](), way, as_it_is, seed, precision)
    return planted(made, kinds, count, seed, native=seed % 2 == 1)


def right_ports() -> Iterator[Case]:
    """Each way to write a port, in families in which it changes something."""
    for way in WAYS:
        for number, (name, rewrite) in enumerate(rewrites_of(way).items()):
            families = [family for family in FAMILIES if _fits(way, family) and _changes(rewrite, family)]
            count = FOR_EACH_REWRITE if way != "keras>torch" else 2
            for seed, family in enumerate(_spread(families, count, number)):
                precision = PRECISIONS[(number + seed) % len(PRECISIONS)]
                label = f"right/{family}/{way}/{precision}/{name}"
                yield Case(
                    label, "right", family, partial(make_right, family, way, name, number + seed, precision)
                )


def _changes(rewrite: Rewrite, family: str) -> bool:
    """Whether there is something to write otherwise; weights are looked at only for their form."""
    from .in_torch import copied

    plan, state = _sample(family)
    try:
        rewrite(plan, copied(state), np.random.default_rng(0))
    except NotHere:
        return False
    return True


_SAMPLES: dict[str, tuple[Plan, dict]] = {}  # type: ignore[type-arg]


def _sample(family: str) -> tuple[Plan, dict]:  # type: ignore[type-arg]
    from .in_torch import weights_of

    if family not in _SAMPLES:
        plan = FAMILIES[family]()
        _SAMPLES[family] = plan, weights_of(plan)
    return _SAMPLES[family]


def _spread(families: list[str], count: int, start: int) -> list[str]:
    """Some of them, others for each start."""
    if len(families) <= count:
        return families
    return [families[(start * 3 + n * len(families) // count) % len(families)] for n in range(count)]


def single_faults() -> Iterator[Case]:
    """Each kind of fault in several families, one at a time."""
    for number, kind in enumerate(KINDS.values()):
        options = [
            (family, way)
            for way, family in itertools.product(WAYS, FAMILIES)
            if _fits(way, family) and way.split(">")[1] in kind.where and _can_have(kind, family)
        ]
        for place in range(min(FOR_EACH_KIND, len(options))):
            family, way = options[(number + place * len(options) // FOR_EACH_KIND) % len(options)]
            seed = number * 7 + place
            rewrite = "built in" if kind.name == "activation built in" else _rewrite(way, seed)
            yield _fault(family, way, rewrite, kind.name, (kind.name,), 1, seed)


def _can_have(kind: Kind, family: str) -> bool:
    """Whether the family has a place for such a fault."""
    plan, state = _sample(family)
    if kind.name == "activation built in":
        return bool(plan.of("conv", "dense")) and bool(plan.of("act"))
    for step in plan.of(*kind.ops):
        with contextlib.suppress(NotHere):
            kind.change(plan, state, step, np.random.default_rng(0))
            return True
    return False


def groups_of_faults() -> Iterator[Case]:
    """Two to five faults at once, of kinds that the family has room for."""
    families = [name for name in FAMILIES if len(FAMILIES[name]().steps) > 10]
    for number in range(GROUPS):
        family = families[number % len(families)]
        ways = [way for way in WAYS if _fits(way, family)]
        way = ways[number % len(ways)]
        kinds = [
            kind.name
            for kind in KINDS.values()
            if way.split(">")[1] in kind.where and kind.name not in NOT_TOGETHER and _can_have(kind, family)
        ]
        chosen = tuple(str(one) for one in np.random.default_rng(1000 + number).permutation(kinds))
        count = 2 + number % (4 if len(FAMILIES[family]().steps) > 25 else 2)
        yield _fault(
            family, way, _rewrite(way, 1000 + number), f"{count} faults", chosen, count, 1000 + number
        )


NOT_TOGETHER = ("dropout left on", "order of layers", "stride")
"""What makes another fault uncertain."""


def _rewrite(way: str, seed: int) -> str:
    names = list(rewrites_of(way))
    return names[0] if seed % 3 == 0 else names[(seed * 5) % len(names)]


def _fault(
    family: str, way: str, rewrite: str, label: str, kinds: tuple[str, ...], count: int, seed: int
) -> Case:
    precision = PRECISIONS[seed % len(PRECISIONS)]
    name = f"faults/{family}/{way}/{precision}/{rewrite}/{label}/{seed}"
    return Case(
        name, "faults", family, partial(make_faulty, family, way, rewrite, kinds, count, seed, precision)
    )


SOURCES: list[Callable[[], Iterator[Case]]] = [
    right_ports, pairs_by_hand, single_faults, groups_of_faults, real_networks, real_faults
]  # fmt: skip


def all_cases() -> list[Case]:
    return [case for source in SOURCES for case in source()]
