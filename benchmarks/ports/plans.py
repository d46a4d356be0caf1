"""A network as a list of named steps, from which it is built in PyTorch and in Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
State = dict[str, dict[str, Array]]
"""The weights of each step, named and laid out as PyTorch has them."""

INPUT = "x"


@dataclass(frozen=True)
class Step:
    """One operation: what it is called, what it reads, and its settings."""

    name: str
    op: str
    inputs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def get(self, setting: str, default: Any = None) -> Any:
        return self.settings.get(setting, default)

    def but(self, **settings: Any) -> Step:
        """The same step with other settings; None takes one away."""
        both = {**self.settings, **settings}
        return replace(self, settings={name: value for name, value in both.items() if value is not None})


@dataclass(frozen=True)
class Plan:
    """The steps of a network, in the order in which they run, and an input."""

    family: str
    steps: tuple[Step, ...]
    x: Array
    """As PyTorch takes it."""
    returns: str = ""

    @property
    def output(self) -> str:
        return self.returns or self.steps[-1].name

    def __getitem__(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    def of(self, *ops: str) -> list[Step]:
        """The steps of these operations."""
        return [step for step in self.steps if step.op in ops]

    def readers(self, name: str) -> list[Step]:
        return [step for step in self.steps if name in step.inputs]

    def only_reader(self, name: str) -> Step | None:
        """The one step that reads this value; None if there are more, or it is returned."""
        readers = self.readers(name)
        return readers[0] if len(readers) == 1 and name != self.output else None

    def with_step(self, changed: Step) -> Plan:
        """The plan with a step of this name in the place of the one that it has."""
        return self.with_steps(changed if step.name == changed.name else step for step in self.steps)

    def with_steps(self, steps: Iterator[Step] | Sequence[Step]) -> Plan:
        return replace(self, steps=tuple(steps))

    def without(self, name: str) -> Plan:
        """The plan without a step; who read it reads what that one read first."""
        source = self[name].inputs[0]
        return self.rewired(name, source).with_returns(name, source)._dropping(name)

    def _dropping(self, name: str) -> Plan:
        return self.with_steps([step for step in self.steps if step.name != name])

    def rewired(self, old: str, new: str, but: Sequence[str] = ()) -> Plan:
        """The plan in which those that read one value read another."""
        return self.with_steps(
            replace(
                step, inputs=tuple(new if one == old and step.name not in but else one for one in step.inputs)
            )
            for step in self.steps
        )

    def with_returns(self, old: str, new: str) -> Plan:
        return replace(self, returns=new if self.output == old else self.output)

    def inserting(self, step: Step, after: str) -> Plan:
        """The plan with a step more, which all read that read the value before it."""
        plan = self.rewired(after, step.name).with_returns(after, step.name)
        place = next((n for n, one in enumerate(plan.steps) if one.name == after), -1) + 1
        return plan.with_steps([*plan.steps[:place], step, *plan.steps[place:]])


class Draft:
    """Writes a plan down, step by step; a step reads the one before it where nothing is said."""

    def __init__(self, family: str, x: Array) -> None:
        self.family, self.x = family, x
        self.steps: list[Step] = []
        self.last = INPUT

    def __call__(self, name: str, op: str, *inputs: str, **settings: Any) -> str:
        self.steps.append(Step(name, op, inputs or (self.last,), settings))
        self.last = name
        return name

    def plan(self) -> Plan:
        return Plan(self.family, tuple(self.steps), self.x, self.last)


def pictures(size: int, count: int = 2, channels: int = 3, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, channels, size, size)).astype(np.float32)


def vectors(features: int, count: int = 6, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, features)).astype(np.float32)


def sequences(steps: int, features: int, count: int = 3, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, steps, features)).astype(np.float32)


def tokens(length: int, vocabulary: int, count: int = 3, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, vocabulary, (count, length)).astype(np.int64)


Maker = Callable[[], Plan]
