"""Faults of pools, of what is between layers, of attention and recurrent layers, and of the input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .catalogue import Changed, Random, _require, _weights, _with, inserted, kind
from .plans import INPUT, Plan, State, Step

# Pools and sizes


@kind("kind of pool", "maxpool avgpool", "pooling, kind", "pool", true="")
def pool(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    other = replace(step, op="avgpool" if step.op == "maxpool" else "maxpool")
    return Changed(plan.with_step(other), state, step.name)


@kind("pool that counts its padding", "avgpool", "pool padding, padding, pooling", "pad, count", true="")
def counting(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.get("padding"))
    return _with(plan, state, step, counted=not step.get("counted", False), same=True)


@kind("pool padded with zeros", "maxpool", "padding, pool padding", "pad", where="keras", true="")
def zeros(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.get("padding"))
    return _with(plan, state, step, zeros=True)


@kind("pool padded elsewhere", "maxpool", "padding, pool padding", "pad", where="keras", true="")
def elsewhere(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.get("padding") and step.get("stride", 2) > 1)
    return _with(plan, state, step, same=True)


@kind("global pool", "mean", "pooling, kind", "pool, max, amax", true="activation, scale")
def global_pool(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, kind="max")


@kind(
    "upsampling mode",
    "upsample",
    "mode, interpolation, upsampling",
    "nearest, bilinear, bicubic, interpol, mode",
    true="",
)
def upsampling(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, mode="nearest" if step.get("mode") == "bilinear" else "bilinear")


@kind("aligned corners", "upsample", "mode, align_corners, corners", "corner, align", where="torch", true="")
def corners(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.get("mode") == "bilinear")
    return _with(plan, state, step, corners=True)


# What is between layers


@kind(
    "missing residual",
    "add",
    "residual, addition, inputs, order of layers",
    "add, residual, sum, skip",
    true="",
)
def no_residual(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return Changed(
        plan.with_step(Step(step.name, "through", step.inputs, {"which": int(rng.integers(2))})),
        state,
        step.name,
    )


@kind(
    "residual of another place",
    "add",
    "residual, addition, inputs, order of layers",
    "add, residual, sum, skip, of what",
    true="",
    local=False,
)
def wrong_residual(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    """What comes before the norm in the place of what comes behind it, or the reverse."""
    one, two = step.inputs
    source = next((read for read in plan.steps if read.name == two), None)
    _require(source is not None and source.op in ("ln", "rms", "bn", "act") and source.inputs[0] != INPUT)
    assert source is not None
    return Changed(plan.with_step(replace(step, inputs=(one, source.inputs[0]))), state, step.name)


@kind("scaled residual", "add", "scale, residual, addition", "times, scale, ×, residual, add", true="")
def factor(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, factor=0.5)


@kind(
    "order of concatenation",
    "concat",
    "order, channel order, permutation, parts",
    "order, permut, exchanged",
    true="",
)
def concatenation(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    count = len(step.inputs)
    return _with(plan, state, step, order=(*range(1, count), 0))


@kind("dropout left on", "dropout", "dropout, not deterministic", "dropout, random", true="")
def dropout(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, on=True)


@kind("scale between layers", "conv dense ln", "scale, preprocessing", "×, times, scale, /", true="")
def scale(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.name != plan.output)
    return inserted(
        plan, state, step.name, f"{step.name}_times", "times", by=float(rng.choice([0.5, 1.5, 8.0]))
    )


@kind(
    "order of layers",
    "bn",
    "order of layers, order, activation",
    "order, before, behind, exchanged",
    true="weights, slope",
    local=False,
)
def layer_order(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    """The activation before the norm."""
    act = plan.only_reader(step.name)
    _require(act is not None and act.op == "act")
    assert act is not None
    swapped = plan.rewired(act.name, step.name, but=(step.name,)).with_returns(act.name, step.name)
    swapped = swapped.with_step(replace(act, inputs=step.inputs)).with_step(replace(step, inputs=(act.name,)))
    steps = list(swapped.steps)
    one, two = (
        next(n for n, each in enumerate(steps) if each.name == name) for name in (step.name, act.name)
    )
    steps[one], steps[two] = steps[two], steps[one]
    return Changed(swapped.with_steps(steps), state, step.name, (act.name,))


@kind("order of channels", "channels", "channel order, order", "order, revers")
def no_channels(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return Changed(plan.with_step(Step(step.name, "through", step.inputs)), state, step.name)


@kind(
    "first state for the last",
    "last",
    "time, direction, order, layout, inputs",
    "first, last, step, position, place",
    true="layout",
)
def first_state(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, place=0 if step.get("place", -1) == -1 else -1)


@kind("columns read otherwise", "columns", "layout, flatten order, order, channel order", "order, layout")
def read_otherwise(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, order=True)


@kind(
    "reshaped, not transposed",
    "maps",
    "layout, order, flatten order",
    "order, layout, reshape",
    where="keras",
)
def reshaped(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, order="other")


# The input


def _first(plan: Plan, step: Step) -> None:
    _require(INPUT in step.inputs and len(plan.readers(INPUT)) == 1 and plan.x.dtype.kind == "f")


@kind("scale of the input", "conv dense", "preprocessing, scale, inputs", "×, times, scale, / 255", true="")
def input_scale(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _first(plan, step)
    return inserted(plan, state, INPUT, "prepare", "times", by=float(rng.choice([1 / 255, 2.0, 1 / 127.5])))


@kind("RGB for BGR", "conv", "channel order, preprocessing, order", "order, bgr, revers", true="")
def bgr(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _first(plan, step)
    _require(plan.x.ndim == 4 and plan.x.shape[1] == 3)
    return inserted(plan, state, INPUT, "prepare", "channels", order=(2, 1, 0))


@kind(
    "normalised input", "conv", "preprocessing, scale, inputs", "×, channel by channel, mean, scale", true=""
)
def normalised(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _first(plan, step)
    _require(plan.x.ndim == 4 and plan.x.shape[1] == 3)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return inserted(plan, state, INPUT, "prepare", "normalise", mean=mean, std=std)


# Attention and positions


@kind("scale of attention", "attend", "scale, attention scale", "scale", where="torch keras", true="")
def attention_scale(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, scale=float(rng.choice([1.0, 0.125])))


@kind("mask of attention", "attend mha", "mask, causal", "mask, causal", true="")
def mask(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, causal=not step.get("causal", False))


@kind("heads", "attend", "heads", "head", true="scale")
def heads(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(not step.get("kv_heads"))
    return _with(plan, state, step, heads=4 if step.get("heads", 2) == 2 else 2)


@kind("axis of the softmax", "attend", "axis, softmax", "axis, softmax", true="")
def softmax_axis(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(not step.get("causal"))
    return _with(plan, state, step.but(by="matmul"), axis=-2)


@kind(
    "rotary pairs",
    "attend",
    "rotary, rotation, order, positions",
    "rotary, rotat, interleav, position, pairs",
    where="torch",
    true="",
)
def rotary(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.get("rotary"))
    return _with(plan, state, step, rotary="half" if step.get("rotary") == "interleaved" else "interleaved")


@kind(
    "base of the rotary positions",
    "attend",
    "rotary, rotation, positions",
    "rotary, rotat, position, base",
    where="torch",
    true="",
)
def base(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.get("rotary"))
    return _with(plan, state, step, base=5e5)


@kind(
    "keys repeated otherwise", "attend", "heads, order, groups", "head, repeat, order", where="torch", true=""
)
def tiled(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(1 < step.get("kv_heads", 0) < step.get("heads", 2))
    return _with(plan, state, step, tiled=True)


@kind(
    "q and k exchanged", "attend", "weights, order of layers", "weight, kernel, order, exchanged", local=False
)
def q_for_k(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    q, k, _ = step.inputs
    _require(q in state and k in state and state[q]["weight"].shape == state[k]["weight"].shape)
    return Changed(plan, {**state, q: state[k], k: state[q]}, q, (k,))


@kind(
    "no positions",
    "positions",
    "positions, table, addition, inputs, kind",
    "position, add, table, plus, nothing",
    true="",
)
def no_positions(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    state = {name: values for name, values in state.items() if name != step.name}
    return Changed(plan.with_step(Step(step.name, "through", step.inputs)), state, step.name)


@kind(
    "another table of positions", "positions", "weights, positions, table", "table, position, weight, kernel"
)
def positions(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _weights(plan, state, step, lambda table: np.roll(table, 1, 0), "table")


@kind(
    "shift of the windows",
    "windows",
    "layout, order, shift, window, direction",
    "shift, roll, order, window",
    where="torch",
    true="",
)
def shift(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _with(plan, state, step, shift=1 - step.get("shift", 0) // 2)


# Recurrent layers


def _gates(plan: Plan, state: State, step: Step, order: tuple[int, ...]) -> Changed:
    names = [name for name in state[step.name] if "weight" in name or "bias" in name]

    def changed(value: np.ndarray) -> np.ndarray:
        return np.concatenate([np.split(value, len(order))[n] for n in order])

    return _weights(plan, state, step, changed, *names)


@kind("gate order", "lstm gru", words="gate")
def gates(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _gates(plan, state, step, (0, 2, 1, 3) if step.op == "lstm" else (1, 0, 2))


@kind("recurrent bias", "gru lstm", "bias", "bias", true="weights, scale")
def recurrent_bias(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    return _weights(plan, state, step, np.zeros_like, "bias_hh_l0", "bias_ih_l0")


@kind("transposed recurrent kernel", "gru lstm", "transposed kernel", "transpos")
def recurrent_kernel(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    def changed(value: np.ndarray) -> np.ndarray:
        return np.concatenate([gate.T for gate in np.split(value, len(value) // value.shape[1])])

    return _weights(plan, state, step, changed, "weight_hh_l0")


@kind("one value of a recurrent layer", "gru lstm", "weights", "kernel, weight")
def recurrent_value(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    def changed(value: np.ndarray) -> np.ndarray:
        value = value.copy()
        value[rng.integers(len(value)), 0] += 1.0
        return value

    return _weights(plan, state, step, changed, str(rng.choice(["weight_hh_l0", "weight_ih_l0"])))


@kind(
    "halves of a bidirectional layer",
    "gru lstm",
    "order, direction, weights, merge mode",
    "order, direction, half, halves, weight",
    true="weights, order",
)
def halves(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.get("both"))
    own = state[step.name]
    turned = {
        name: own[name.removesuffix("_reverse") if "_reverse" in name else f"{name}_reverse"] for name in own
    }
    return Changed(plan, {**state, step.name: turned}, step.name)


@kind(
    "concatenation of a bidirectional layer",
    "gru lstm",
    "order, merge mode, direction, channel order",
    "order, half, halves, permut",
    where="torch",
    local=False,
)
def merged(plan: Plan, state: State, step: Step, rng: Random) -> Changed:
    _require(step.get("both"))
    return _with(plan, state, step, merge="swapped")
