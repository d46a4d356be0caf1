"""Plants faults in ports, sees with the frameworks alone that they show, and says which places are theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

import netviz_core as nv

from . import more_faults
from .catalogue import KINDS, Changed, Kind
from .in_keras import Keras, called, channels_first, in_keras
from .in_torch import Torch, in_torch, weights_of
from .judging import Made, NoEffect, Planted, WrongRecipe
from .plans import INPUT, Plan, State, Step
from .rewrites import NotHere, Rewrite, apply

assert more_faults  # it fills the catalogue
Built = Torch | Keras
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
LEAST = 3.0
"""Of so many times the noise a fault is one."""


class Port(NamedTuple):
    """A right port: two models of one plan, and how the second is written."""

    a: Built
    b: Built
    plan: Plan
    state: State
    precision: str

    def rebuilt(self, plan: Plan, state: State, precision: str = "") -> Built:
        return built(
            "torch" if isinstance(self.b, Torch) else "keras", plan, state, precision or self.precision
        )

    def made(self, b: Built, planted: Sequence[Planted] = (), native: bool = False) -> Made:
        return Made(self.a.model, b.model, self._x(b, native), tuple(planted))

    def _x(self, b: Built, native: bool) -> Any:
        if isinstance(self.a, Torch) and isinstance(b, Torch):
            return self.a.x() if self.precision == "float32" else (self.a.x(), b.x())
        image = self.a.plan.x.ndim == 4
        if channels_first(self.a.plan) and (native or not image or self.precision != "float32"):
            return self.a.x(), b.x()
        return nv.images(np.moveaxis(self.a.plan.x, 1, -1)) if image else self.a.plan.x


def built(where: str, plan: Plan, state: State, precision: str) -> Built:
    if where == "torch":
        return in_torch(plan, state, getattr(torch, precision))
    return in_keras(plan, state, POLICIES[precision])


def port(
    plan: Plan,
    way: str,
    rewrite: Rewrite,
    seed: int = 0,
    precision: str = "float32",
    before: Rewrite | None = None,
) -> Port:
    """A right port; `way` is ``torch>keras`` or the like. It is verified with the frameworks."""
    source, target = way.split(">")
    state = weights_of(plan, seed)
    if before is not None:
        plan, state = apply(before, plan, state, seed)
    a = built(source, plan, state, "float32")
    written, weights = apply(rewrite, plan, state, seed)
    b = built(target, written, weights, precision)
    made = Port(a, b, written, weights, precision)
    want, got = numbers(a.output()), numbers(b.output())
    limit = 1e-4 if precision == "float32" else 0.15 if precision == "bfloat16" else 0.03
    if not np.isfinite(want).all() or _size(got - want) > limit * _size(want):
        raise WrongRecipe(
            f"outputs are {_size(got - want) / _size(want):.1e} apart, of {limit:.0e} that may be"
        )
    return made


def numbers(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        return value.detach().float().numpy()
    return np.asarray(value, np.float32) if isinstance(value, np.ndarray) else _of_keras(value)


def _of_keras(value: Any) -> np.ndarray:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(ops.cast(value, "float32")), np.float32)


def _size(value: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(value, dtype=np.float64))))


def planted(made: Port, kinds: Sequence[str], count: int, seed: int, native: bool = False) -> Made:
    """The port with so many faults, of the first of these kinds that show there, each in another step."""
    planting = Planting(made, np.random.default_rng(seed))
    for kind in kinds:
        if planting.adds(KINDS[kind]) and len(planting.faults) == count:
            return planting.made(native)
    raise NoEffect("; ".join(dict.fromkeys(planting.reasons)) or "no place for it")


class Planting:
    """Faults in one port, one after the other."""

    def __init__(self, made: Port, rng: np.random.Generator) -> None:
        self.port, self.rng = made, rng
        self.plan, self.state = made.plan, made.state
        self.taken: set[str] = set()
        self.faults: list[tuple[Kind, Changed]] = []
        self.reasons: list[str] = []
        self.measure = Measure(made)

    def adds(self, kind: Kind) -> bool:
        """Plant one of this kind, where it shows."""
        steps = [step for step in self.port.plan.of(*kind.ops) if step.name not in self.taken]
        tried = 0
        for place in self.rng.permutation(len(steps)):
            if tried == 6:
                return False
            step, seed = steps[place], int(self.rng.integers(1 << 30))
            try:
                alone = kind.change(self.port.plan, self.port.state, step, np.random.default_rng(seed))
                self.measure.require(kind, alone)
                changed = kind.change(self.plan, self.state, step, np.random.default_rng(seed))
            except NotHere:
                continue
            except NoEffect as error:
                self.reasons.append(str(error))
                tried += 1
                continue
            self.plan, self.state = changed.plan, changed.state
            self.taken |= {changed.at, step.name, *changed.also, *around(self.port.plan, step)}
            self.faults.append((kind, changed))
            return True
        return False

    def made(self, native: bool) -> Made:
        b = self.port.rebuilt(self.plan, self.state)
        return self.port.made(
            b, [_planted(self.port, b, kind, changed) for kind, changed in self.faults], native
        )


def around(plan: Plan, step: Step) -> set[str]:
    """What it reads, and what reads it: two faults there could not be told apart."""
    return {*step.inputs, *(reader.name for reader in plan.readers(step.name))} - {INPUT}


class Measure:
    """Whether a fault is larger than the noise of its precision, at its step and at the end."""

    def __init__(self, made: Port) -> None:
        self.made = made
        self.fine = made.b if made.precision == "float32" else made.rebuilt(made.plan, made.state, "float32")
        self.values = self.fine.values()
        self.clean = numbers(made.b.output())
        want = numbers(self.fine.output())
        self.noise = max(_size(self.clean - want), 2e-7 * _size(want))

    def require(self, kind: Kind, changed: Changed) -> None:
        bad = self.made.rebuilt(changed.plan, changed.state)
        effect = _size(numbers(bad.output()) - self.clean)
        if not effect > LEAST * self.noise:
            raise NoEffect(
                f"{kind.name} changes the output by {effect:.1e} where the noise is {self.noise:.1e}"
            )
        if kind.is_local and any(step.name == changed.at for step in self.made.plan.steps):
            self._require_at(kind, changed, bad)

    def _require_at(self, kind: Kind, changed: Changed, bad: Built) -> None:
        want, clean = (numbers(one.given(changed.at, self.values)) for one in (self.fine, self.made.b))
        got = numbers(bad.given(changed.at, self.values))
        if got.shape != clean.shape:
            return
        noise = max(_size(clean - want), 2e-7 * _size(want))
        if not _size(got - clean) > LEAST * noise:
            raise NoEffect(f"{kind.name} at {changed.at} is {_size(got - clean) / noise:.1f} times the noise")


def paths(one: Built, name: str) -> tuple[set[str], bool]:
    """What a step is called, and whether it is a layer."""
    if isinstance(one, Torch):
        return {name}, one.leaves[name].module is not None
    layers = [layer.name for layer in one.layers[name] if hasattr(layer, "name")]
    return {*layers, called(name)}, bool(layers)


def _planted(made: Port, b: Built, kind: Kind, changed: Changed) -> Planted:
    at, is_layer = paths(b, changed.at)
    for name in changed.also:
        at |= paths(b, name)[0]
    origin = changed.plan[changed.at].get("origin", changed.at)
    in_a = {step.name for step in made.a.plan.steps}
    at_a = paths(made.a, origin)[0] if origin in in_a else set()
    near: set[str] = set()
    if not is_layer or not kind.is_local or origin not in in_a:
        for name in _neighbours(b, changed.at):
            near |= paths(b, name)[0]
        near |= {
            name.rsplit(".", depth)[0]
            for name in at
            for depth in (1, 2)
            if isinstance(b, Torch) and name.count(".") >= depth
        }
    return Planted(
        kind.name, frozenset(at), frozenset(at_a), frozenset(near), kind.causes, kind.words, kind.true
    )


def _neighbours(b: Built, name: str) -> set[str]:
    """The nearest layers before and behind a function."""
    found: set[str] = set()
    step = b.plan[name]
    before, behind = list(step.inputs), [one.name for one in b.plan.readers(name)]
    seen: set[str] = set()
    for places, onward in (
        (before, lambda s: s.inputs),
        (behind, lambda s: [one.name for one in b.plan.readers(s.name)]),
    ):
        while places:
            one = places.pop()
            if one == INPUT or one in seen:
                continue
            seen.add(one)
            found.add(one)
            if not paths(b, one)[1]:
                places += onward(b.plan[one])
    return found
