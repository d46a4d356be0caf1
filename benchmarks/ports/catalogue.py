"""The faults that people report, each as a change of a plan and its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .plans import Array, Plan, State, Step
from .rewrites import NotHere

Random = np.random.Generator


class Changed(NamedTuple):
    """A plan with a fault in it, and the step that has it."""

    plan: Plan
    state: State
    at: str
    also: tuple[str, ...] = ()
    """Other steps that have it, too."""


Change = Callable[[Plan, State, Step, Random], Changed]


@dataclass(frozen=True)
class Kind:
    """A kind of fault: what it is done to, how, and what may be said of it."""

    name: str
    ops: tuple[str, ...]
    change: Change
    causes: frozenset[str]
    words: tuple[str, ...] = ()
    true: frozenset[str] = frozenset(("weights",))
    where: str = "torch keras"
    """In which frameworks it can be made."""
    is_local: bool = True
    """Whether the step by itself shows it, given the same."""


KINDS: dict[str, Kind] = {}
WEIGHTED = ("conv", "dense", "depthwise", "transposed")
CELLS = ("lstm", "gru")


def kind(
    name: str,
    ops: str,
    causes: str = "",
    words: str = "",
    true: str = "weights",
    where: str = "torch keras",
    local: bool = True,
) -> Callable[[Change], Change]:
    """Put a change into the catalogue; lists are separated by commas."""

    def listed(change: Change) -> Change:
        split = [
            tuple(filter(None, (one.strip() for one in said.split(",")))) for said in (causes, words, true)
        ]
        KINDS[name] = Kind(
            name,
            tuple(ops.split()),
            change,
            frozenset((*split[0], name)),
            split[1],
            frozenset(split[2]),
            where,
            local,
        )
        return change

    return listed


def _with(plan: Plan, state: State, step: Step, **settings: Any) -> Changed:
    return Changed(plan.with_step(step.but(**settings)), state, step.name)


def _weights(plan: Plan, state: State, step: Step, changed: Callable[[Array], Array], *names: str) -> Changed:
    own = dict(state[step.name])
    chosen = [name for name in own if name in names] or [NotHere]
    if chosen == [NotHere]:
        raise NotHere
    for name in chosen:
        own[name] = np.ascontiguousarray(changed(own[name]), np.float32)
    return Changed(plan, {**state, step.name: own}, step.name)


def _require(so: Any) -> None:
    if not so:
        raise NotHere


# Norms


@kind("epsilon", "bn ln rms gn inorm", words="epsilon", true="")
def epsilon(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, eps=float(rng.choice([1e-2, 1e-1, 3e-1])))


@kind("training mode", "bn", words="training, batch's own, statistics of", true="training, weights")
def training(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, training=True)


@kind(
    "instance norm for batch norm",
    "bn",
    "kind, training mode",
    "instance",
    true="weights, training mode",
    where="torch keras",
)
def instance(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(state[step.name]["weight"].size > 1 and plan.x.ndim == 4 and "fc" not in step.name)
    own = {key: value for key, value in state[step.name].items() if "running" not in key}
    return Changed(plan.with_step(replace(step, op="inorm")), {**state, step.name: own}, step.name)


@kind("RMS norm for layer norm", "ln", "kind, bias", "rms, mean")
def rms_for_ln(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    own = {"weight": state[step.name]["weight"]}
    return Changed(plan.with_step(replace(step, op="rms")), {**state, step.name: own}, step.name)


@kind("layer norm for RMS norm", "rms", "kind", "layer norm, layer_norm, mean", where="torch")
def ln_for_rms(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    changed = replace(step.but(bias=False), op="ln")
    return Changed(plan.with_step(changed), state, step.name)


@kind(
    "running statistics",
    "bn",
    "weights, running_mean, running_var",
    "running_mean, running_var, moving, statistics",
)
def statistics(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    if rng.random() < 0.5:
        return _weights(plan, state, step, np.zeros_like, "running_mean")
    return _weights(plan, state, step, np.sqrt, "running_var")


@kind("scale of a norm", "bn ln rms", "weights, scale", "scale, weight, gamma")
def norm_scale(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _weights(plan, state, step, np.ones_like, "weight")


# Activations


@kind("activation", "act", "slope", "activation")
def activation(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    others = {
        "relu": ["elu", "relu6", "silu", "leaky_relu"], "leaky_relu": ["relu", "elu"], "elu": ["relu", "selu"],
        "silu": ["gelu", "relu", "hard_silu"], "gelu": ["relu", "silu"], "gelu_tanh": ["relu", "silu"],
        "tanh": ["sigmoid", "relu"], "sigmoid": ["hard_sigmoid", "tanh"],
    }  # fmt: skip
    choices = others.get(step.settings["kind"], ["tanh"])
    return _with(plan, state, step, kind=str(rng.choice(choices)))


@kind("exactness of GELU", "act", "activation", "gelu, approximate")
def exactness(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require("gelu" in step.settings["kind"])
    return _with(plan, state, step, kind="gelu" if step.settings["kind"] == "gelu_tanh" else "gelu_tanh")


@kind(
    "missing activation",
    "act",
    "activation",
    "activation, relu, silu, gelu, tanh, sigmoid, elu",
    true="slope",
)
def no_activation(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return Changed(plan.with_step(Step(step.name, "through", step.inputs)), state, step.name)


@kind("slope", "act", words="slope, alpha", true="activation")
def slope(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.settings["kind"] == "leaky_relu")
    return _with(plan, state, step, slope=float(rng.choice([0.01, 0.3])))


@kind(
    "activation built in",
    "conv dense depthwise",
    "activation",
    "activation, sigmoid, tanh, relu, silu, elu",
    where="keras",
)
def other_built_in(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    own = step.get("activation")
    _require(own)
    return _with(
        plan,
        state,
        step,
        activation=str(rng.choice([one for one in ("tanh", "silu", "sigmoid") if one != own])),
    )


# Convolutions and dense layers


@kind("padding", "conv depthwise", words="padding, pads", where="keras", true="")
def same(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.get("stride", 1) > 1 and step.get("padding"))
    return _with(plan, state, step, same=True)


@kind("padding mode", "conv depthwise", "padding", "padding", where="torch", true="")
def mode(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.get("padding"))
    return _with(plan, state, step, mode=str(rng.choice(["reflect", "replicate", "circular"])))


@kind("dilation", "conv", words="dilation, dilated", true="padding")
def dilation(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    """Padded by more, too, so that the size stays: both have to be changed."""
    _require(step.get("kernel", 3) == 3 and step.get("padding") == 1 and step.get("stride", 1) == 1)
    return _with(plan, state, step, dilation=2, padding=2)


@kind("stride", "conv", words="stride", true="", local=False)
def stride(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    """The stride in another convolution of the block, as between versions of ResNet."""
    later = plan.only_reader(step.name)
    while later is not None and later.op in ("act", "bn"):
        later = plan.only_reader(later.name)
    _require(later is not None and later.op == "conv" and step.get("stride", 1) == 2)
    assert later is not None
    _require(later.get("stride", 1) == 1)
    changed = plan.with_step(step.but(stride=None)).with_step(later.but(stride=2))
    return Changed(changed, state, step.name, (later.name,))


@kind("groups", "conv", words="group", true="weights, kernel shape, shapes", local=True)
def groups(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    weight = state[step.name]["weight"]
    _require(weight.shape[0] % 2 == weight.shape[1] % 2 == 0 and step.get("groups", 1) == 1)
    changed = _weights(plan, state, step, lambda w: w[:, : w.shape[1] // 2], "weight")
    return changed._replace(plan=plan.with_step(step.but(groups=2)))


@kind("transposed kernel", "conv dense", words="transpos", true="weights, kernel order")
def transposed(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    weight = state[step.name]["weight"]
    _require(weight.shape[0] == weight.shape[1] and step.get("groups", 1) == 1)
    return _weights(plan, state, step, lambda w: w.swapaxes(0, 1), "weight")


@kind("exchanged y and x", "conv depthwise transposed", "transposed kernel", "transpos, exchanged, order")
def exchanged(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    weight = state[step.name]["weight"]
    _require(weight.ndim == 4 and weight.shape[-1] > 1)
    return _weights(plan, state, step, lambda w: w.swapaxes(2, 3), "weight")


@kind("flipped kernel", "conv depthwise transposed", words="flip, reverse")
def flipped(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(state[step.name]["weight"].shape[-1] > 1)
    return _weights(plan, state, step, lambda w: np.flip(w, tuple(range(2, w.ndim))), "weight")


@kind("rows permuted", "conv dense", "order, permutation, rows, channel order", "order, permut")
def rows(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    size = state[step.name]["weight"].shape[0]
    _require(size > 3)
    order = (
        rng.permutation(size)
        if rng.random() < 0.5
        else np.arange(size).reshape(2, -1).T.ravel()
        if size % 2 == 0
        else np.roll(np.arange(size), 1)
    )
    return _weights(plan, state, step, lambda w: w[order], "weight", "bias")


@kind(
    "columns permuted", "dense", "order, permutation, columns, flatten order, channel order", "order, permut"
)
def columns(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    order = np.roll(np.arange(state[step.name]["weight"].shape[1]), 1)
    return _weights(plan, state, step, lambda w: w[:, order], "weight")


@kind("missing bias", "conv dense transposed", "bias", "bias", true="weights, scale")
def no_bias(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require("bias" in state[step.name])
    if rng.random() < 0.5:
        return _weights(plan, state, step, np.zeros_like, "bias")
    own = {key: value for key, value in state[step.name].items() if key != "bias"}
    return Changed(plan.with_step(step.but(bias=False)), {**state, step.name: own}, step.name)


@kind("one value", "conv dense depthwise transposed embed", "weights", "kernel, weight")
def one_value(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    def changed(weight: Array) -> Array:
        weight = weight.copy()
        used = int(np.unique(plan.x)[0]) if step.op == "embed" else int(rng.integers(len(weight)))
        row = weight[used].reshape(-1)
        row[rng.integers(row.size)] += 1.0
        return weight

    return _weights(plan, state, step, changed, "weight")


@kind("one channel", "conv dense depthwise", "weights", "kernel, weight")
def one_channel(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    def changed(weight: Array) -> Array:
        weight = weight.copy()
        weight[rng.integers(len(weight))] = rng.normal(size=weight.shape[1:]) * weight.std()
        return weight

    return _weights(plan, state, step, changed, "weight")


@kind("scaled kernel", "conv dense depthwise transposed", "weights, scale", "kernel, weight, times")
def scaled(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _weights(plan, state, step, lambda w: w * rng.choice([0.5, 2.0, -1.0]), "weight")


@kind(
    "rounded weights",
    "conv dense",
    "weights, precision, rounding, quantised, rounded",
    "kernel, weight, round, quantis",
)
def rounded(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    def changed(weight: Array) -> Array:
        unit = np.abs(weight).max() / 15
        return np.round(weight / unit) * unit

    return _weights(plan, state, step, changed, "weight")


@kind(
    "weights of another layer",
    "conv dense bn ln depthwise lstm gru",
    "weights, order of layers",
    "kernel, weight, of another, of a's",
)
def of_another(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    def forms(name: str) -> list[Any]:
        return [value.shape for value in state[name].values()]

    others = [
        name
        for name in state
        if name != step.name and forms(name) == forms(step.name) and plan[name].op == step.op
    ]
    _require(others)
    other = others[int(rng.integers(len(others)))]
    return Changed(plan, {**state, step.name: dict(state[other])}, step.name)


@kind("flatten order", "dense", words="flatten, order", true="weights", where="keras")
def unpermuted(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    before = next((one for one in plan.steps if one.name == step.inputs[0]), None)
    _require(before is not None and before.op == "flatten")
    return _with(plan, state, step, unpermuted=True)


@kind(
    "features flattened otherwise", "flatten", "flatten order, layout, order", "flatten, order", where="torch"
)
def flattened(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, order="other")


@kind("shifted crop", "transposed", "padding, crop", "crop, pad, shift", where="keras", true="")
def crop(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.get("output_padding"))
    return _with(plan, state, step, shifted=True)


@kind(
    "rows of an embedding",
    "embed",
    "weights, order, permutation, rows",
    "embedding, order, weight, permut, row",
)
def embedding(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _weights(plan, state, step, lambda w: np.roll(w, 1, 0), "weight")


def inserted(plan: Plan, state: State, after: str, name: str, op: str, **settings: Any) -> Changed:
    return Changed(plan.inserting(Step(name, op, (after,), settings), after), state, name)
