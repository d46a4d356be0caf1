"""The same network with another structure.

Each takes a plan and its weights, and returns others that compute the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from .in_torch import copied
from .plans import Plan, State, Step

Written = tuple[Plan, State]
Rewrite = Callable[[Plan, State, np.random.Generator], Written]

_ELEMENTWISE = ("act", "dropout", "identity")


class NotHere(Exception):
    """The plan has nothing that could be written otherwise in this way."""


def _required(plan: Plan, state: State, found: int) -> Written:
    if not found:
        raise NotHere
    return plan, state


def folded(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """Each batch norm becomes a part of the convolution before it."""
    found = 0
    for bn in plan.of("bn"):
        before = next((step for step in plan.steps if step.name == bn.inputs[0]), None)
        if before is None or before.op not in ("conv", "depthwise") or plan.only_reader(before.name) is None:
            continue
        own, norm = state[before.name], state.pop(bn.name)
        scale = norm["weight"] / np.sqrt(norm["running_var"] + bn.get("eps", 1e-5))
        bias = (own.get("bias", 0.0) - norm["running_mean"]) * scale + norm["bias"]
        weight = own["weight"] * scale.reshape(-1, *[1] * (own["weight"].ndim - 1))
        state[before.name] = {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}
        plan = plan.with_step(before.but(bias=True)).without(bn.name)
        found += 1
    return _required(plan, state, found)


def built_in(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """In Keras, an activation becomes a setting of the layer before it."""
    found = 0
    for act in plan.of("act"):
        before = next((step for step in plan.steps if step.name == act.inputs[0]), None)
        if before is None or before.op not in ("conv", "dense", "depthwise", "separable"):
            continue
        if plan.only_reader(before.name) is None or act.settings["kind"] in (
            "leaky_relu",
            "gelu_tanh",
            "gelu",
            "relu6",
        ):
            continue
        plan = plan.with_step(before.but(activation=act.settings["kind"])).without(act.name)
        found += 1
    return _required(plan, state, found)


def functional(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """Activations, pools, and the like are functions, not modules."""
    ops = ("act", "maxpool", "avgpool", "flatten", "mean", "upsample", "softmax")
    changed = plan.with_steps(step.but(functional=True) if step.op in ops else step for step in plan.steps)
    return _required(changed, state, len(plan.of(*ops)))


def padded_before(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """Convolutions do not pad themselves."""
    found = 0
    for step in plan.of("conv", "depthwise"):
        if pad := step.get("padding"):
            sides = (pad,) * (2 * (state[step.name]["weight"].ndim - 2))
            padding = Step(f"{step.name}_pad", "pad", step.inputs, {"sides": sides})
            plan = _before(
                plan.with_step(replace(step.but(padding=None), inputs=(padding.name,))), padding, step.name
            )
            found += 1
    return _required(plan, state, found)


def _before(plan: Plan, step: Step, name: str) -> Plan:
    place = next(n for n, one in enumerate(plan.steps) if one.name == name)
    return plan.with_steps([*plan.steps[:place], step, *plan.steps[place:]])


def hidden_pairs(plan: Plan) -> Iterator[tuple[Step, list[Step], Step]]:
    """Two layers with nothing between them but what treats each channel for itself."""
    for first in plan.of("conv", "dense"):
        step, between = plan.only_reader(first.name), []
        while step is not None and step.op in (*_ELEMENTWISE, "bn"):
            between.append(step)
            step = plan.only_reader(step.name)
        if step is not None and step.op == first.op and first.get("groups", 1) == step.get("groups", 1) == 1:
            yield first, between, step


def permuted(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """Hidden units in another order."""
    found = 0
    for first, between, second in hidden_pairs(plan):
        order = rng.permutation(state[first.name]["weight"].shape[0])
        for step in (first, *between):
            if step.name in state:
                state[step.name] = {key: value[order] for key, value in state[step.name].items()}
        state[second.name]["weight"] = state[second.name]["weight"][:, order]
        found += 1
    return _required(plan, state, found)


def rescaled(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """Hidden units behind a ReLU larger, and what reads them smaller."""
    found = 0
    for first, between, second in hidden_pairs(plan):
        kinds = [step.get("kind") for step in between if step.op != "dropout"]
        if kinds not in (["relu"], ["leaky_relu"]):
            continue
        factor = rng.uniform(0.5, 2, state[first.name]["weight"].shape[0]).astype(np.float32)
        over = factor.reshape(-1, *[1] * (state[first.name]["weight"].ndim - 1))
        state[first.name] = {
            key: value * (over if value.ndim > 1 else factor) for key, value in state[first.name].items()
        }
        state[second.name]["weight"] = state[second.name]["weight"] / over.swapaxes(0, 1)
        found += 1
    return _required(plan, state, found)


def renamed(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """Other names, and all in one container."""
    names = {step.name: f"{step.op}_{n}" for n, step in enumerate(plan.steps)}
    return _under(names, plan, state)


def flat(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """All in one container."""
    return _under({step.name: step.name.replace(".", "_") for step in plan.steps}, plan, state)


def nested(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """Three steps at a time in a container of their own."""
    return _under(
        {step.name: f"stage{n // 6}.part{n // 3}.{step.op}{n}" for n, step in enumerate(plan.steps)},
        plan,
        state,
    )


def _under(names: dict[str, str], plan: Plan, state: State) -> Written:
    steps = [
        replace(step, name=names[step.name], inputs=tuple(names.get(one, one) for one in step.inputs)).but(
            origin=step.get("origin", step.name)
        )
        for step in plan.steps
    ]
    changed = replace(plan, steps=tuple(steps), returns=names[plan.output])
    return changed, {names[name]: values for name, values in state.items()}


def reordered(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """Branches run in another order."""
    plan, state = flat(plan, state, rng)
    left, ordered, known = list(plan.steps), [], {"x"}
    while left:
        ready = [step for step in left if set(step.inputs) <= known]
        step = ready[-1]
        left.remove(step)
        ordered.append(step)
        known.add(step.name)
    return _required(plan.with_steps(ordered), state, int(ordered != list(plan.steps)))


def with_identities(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """Identities and dropouts here and there."""
    places = [step for step in plan.steps if step.op not in ("flatten", "windows", "split")]
    for n, place in enumerate(rng.choice(len(places), max(2, len(places) // 4), replace=False)):
        name = f"{places[place].name}_{'drop' if n % 2 else 'same'}"
        plan = plan.inserting(
            Step(name, "dropout" if n % 2 else "identity", (places[place].name,)), places[place].name
        )
    return plan, state


def split_concat(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """A convolution of what was concatenated becomes a sum of convolutions."""
    for cat in plan.of("concat"):
        conv = plan.only_reader(cat.name)
        if conv is None or conv.op != "conv" or len(cat.inputs) != 2:
            continue
        weight = state[conv.name]["weight"]
        width = next(
            (state[one]["weight"].shape[0] for one in _sources(plan, cat.inputs[0]) if one in state), None
        )
        if width is None or not 0 < width < weight.shape[1]:
            continue
        one, two = f"{conv.name}_one", f"{conv.name}_two"
        state[one] = {**state[conv.name], "weight": weight[:, :width]}
        state[two] = {"weight": weight[:, width:]}
        del state[conv.name]
        steps = [
            Step(one, "conv", (cat.inputs[0],), conv.settings),
            replace(conv.but(bias=False), name=two, inputs=(cat.inputs[1],)),
            Step(conv.name, "add", (one, two), {}),
        ]
        place = plan.steps.index(conv)
        kept = [
            step for step in (*plan.steps[:place], *steps, *plan.steps[place + 1 :]) if step.name != cat.name
        ]
        return plan.with_steps(kept), state
    raise NotHere


def _sources(plan: Plan, name: str) -> Iterator[str]:
    """The step, and what it comes from, as long as channels stay as they are."""
    while True:
        yield name
        step = next((step for step in plan.steps if step.name == name), None)
        if step is None or step.op not in (*_ELEMENTWISE, "bn", "maxpool", "avgpool", "upsample"):
            return
        name = step.inputs[0]


def separable(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """In Keras, a depthwise and a pointwise convolution become one layer."""
    found = 0
    for deep in plan.of("depthwise"):
        point = plan.only_reader(deep.name)
        if point is None or point.op != "conv" or point.get("kernel") != 1 or deep.get("bias", True):
            continue
        own = {"depthwise": state.pop(deep.name)["weight"], "pointwise": state[point.name]["weight"]}
        state[point.name] = {
            **own,
            **{key: value for key, value in state[point.name].items() if key == "bias"},
        }
        settings = {**deep.settings, "filters": point.settings["filters"], "bias": point.get("bias", True)}
        plan = plan.with_step(Step(point.name, "separable", point.inputs, settings)).without(deep.name)
        found += 1
    return _required(plan, state, found)


def pointwise_as_dense(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """In Keras, a convolution of size one is a dense layer."""
    found = 0
    for conv in plan.of("conv"):
        if conv.get("kernel") == 1 and conv.get("stride", 1) == 1 and not conv.get("padding"):
            state[conv.name]["weight"] = state[conv.name]["weight"].reshape(conv.settings["filters"], -1)
            settings = {"units": conv.settings["filters"], "bias": conv.get("bias", True)}
            plan = plan.with_step(Step(conv.name, "dense", conv.inputs, settings))
            found += 1
    return _required(plan, state, found)


def for_training(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """Other settings of what counts in training alone."""
    changed = plan.with_steps(
        step.but(momentum=0.01) if step.op == "bn" else step.but(rate=0.7) if step.op == "dropout" else step
        for step in plan.steps
    )
    return _required(changed, state, len(plan.of("bn", "dropout")))


def as_it_is(plan: Plan, state: State, rng: np.random.Generator) -> Written:
    """As it is."""
    return plan, state


def also_applied(first: Rewrite, *others: Rewrite) -> Rewrite:
    """Several at once; those that have nothing to do are passed over."""

    def both(plan: Plan, state: State, rng: np.random.Generator) -> Written:
        done = 0
        for rewrite in (first, *others):
            try:
                plan, state = rewrite(plan, copied(state), rng)
                done += 1
            except NotHere:
                continue
        return _required(plan, state, done)

    return both


def apply(rewrite: Rewrite, plan: Plan, state: State, seed: int) -> Written:
    return rewrite(plan, copied(state), np.random.default_rng(seed))
