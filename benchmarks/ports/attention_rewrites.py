"""Attention and recurrent layers with another structure, and the list of all rewrites."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from . import rewrites as r
from .plans import Plan, State, Step


def attentions(plan: Plan) -> Iterator[tuple[Step, Step, Step, Step, Step]]:
    """Projections of q, k, v, the step that mixes, and the projection of what it returns."""
    for mix in plan.of("attend"):
        q, k, v = (plan[name] for name in mix.inputs)
        o = plan.only_reader(mix.name)
        if o is not None and q.op == k.op == v.op == o.op == "dense" and q.inputs == k.inputs == v.inputs:
            yield q, k, v, mix, o


def fused_qkv(plan: Plan, state: State, rng: np.random.Generator) -> r.Written:
    """One projection for q, k, and v."""
    found = 0
    for q, k, v, mix, _ in list(attentions(plan)):
        if mix.get("kv_heads", mix.get("heads", 2)) != mix.get("heads", 2):
            continue
        name = f"{q.name}kv"
        keys = state[q.name].keys()
        state[name] = {key: np.concatenate([state[part.name][key] for part in (q, k, v)]) for key in keys}
        fused = Step(name, "qkv", q.inputs, {"bias": q.get("bias", True)})
        plan = r._before(plan, fused, q.name)
        for number, part in enumerate((q, k, v)):
            del state[part.name]
            plan = plan.with_step(Step(part.name, "split", (name,), {"parts": 3, "part": number}))
        found += 1
    return r._required(plan, state, found)


def whole(plan: Plan, state: State, rng: np.random.Generator) -> r.Written:
    """The framework's own attention."""
    found = 0
    for q, k, v, mix, o in list(attentions(plan)):
        if mix.get("rotary") or not q.get("bias", True) or mix.get("scale"):
            continue
        own = {
            f"in_proj_{key}": np.concatenate([state[part.name][key] for part in (q, k, v)])
            for key in ("weight", "bias")
        }
        own |= {f"out_proj.{key}": state[o.name][key] for key in ("weight", "bias")}
        for part in (q, k, v, o):
            del state[part.name]
        name = mix.name.removesuffix(".mix") + "_whole"
        state[name] = own
        step = Step(name, "mha", q.inputs, {"heads": mix.get("heads", 2), "causal": mix.get("causal", False)})
        plan = r._before(plan, step, q.name).rewired(o.name, name)
        gone = {part.name for part in (q, k, v, mix, o)}
        plan = plan.with_steps([one for one in plan.steps if one.name not in gone])
        found += 1
    return r._required(plan, state, found)


def by_sdpa(plan: Plan, state: State, rng: np.random.Generator) -> r.Written:
    """PyTorch's own function for what is between the projections."""
    changed = plan.with_steps(step.but(by="sdpa") if step.op == "attend" else step for step in plan.steps)
    return r._required(changed, state, len(plan.of("attend")))


def scaled_weights(plan: Plan, state: State, rng: np.random.Generator) -> r.Written:
    """The scale of attention moved into the weights of q."""
    found = 0
    for q, _, _, mix, _ in attentions(plan):
        size = state[q.name]["weight"].shape[0] // mix.get("heads", 2)
        scale = np.float32(mix.get("scale", size**-0.5))
        state[q.name] = {key: value * scale for key, value in state[q.name].items()}
        plan = plan.with_step(mix.but(scale=1.0))
        found += 1
    return r._required(plan, state, found)


def other_rotary(plan: Plan, state: State, rng: np.random.Generator) -> r.Written:
    """Rotary positions in interleaved pairs, with q and k permuted to fit."""
    found = 0
    for q, k, _, mix, _ in attentions(plan):
        if mix.get("rotary") != "half":
            continue
        heads = mix.get("heads", 2)
        for part, count in ((q, heads), (k, mix.get("kv_heads", heads))):
            weight = state[part.name]["weight"]
            paired = weight.reshape(count, 2, -1, weight.shape[1]).swapaxes(1, 2)
            state[part.name]["weight"] = paired.reshape(weight.shape)
        plan = plan.with_step(mix.but(rotary="interleaved"))
        found += 1
    return r._required(plan, state, found)


def permuted_heads(plan: Plan, state: State, rng: np.random.Generator) -> r.Written:
    """The heads in another order."""
    found = 0
    for q, k, v, mix, o in attentions(plan):
        heads = mix.get("heads", 2)
        if mix.get("kv_heads", heads) != heads:
            continue
        order = np.roll(np.arange(heads), 1)
        for part in (q, k, v):
            state[part.name] = {
                key: value.reshape(heads, -1, *value.shape[1:])[order].reshape(value.shape)
                for key, value in state[part.name].items()
            }
        weight = state[o.name]["weight"]
        state[o.name]["weight"] = weight.reshape(len(weight), heads, -1)[:, order].reshape(weight.shape)
        found += 1
    return r._required(plan, state, found)


def stacked(plan: Plan, state: State, rng: np.random.Generator) -> r.Written:
    """Recurrent layers in a row become one with several."""
    for first in plan.of("lstm", "gru", "rnn"):
        row = [first]
        while (reader := plan.only_reader(row[-1].name)) is not None and reader.settings == first.settings:
            row.append(reader)
        if len(row) < 2:
            continue
        own = {
            key.replace("_l0", f"_l{n}"): value
            for n, step in enumerate(row)
            for key, value in state.pop(step.name).items()
        }
        last = row[-1].name
        state[last] = own
        plan = plan.with_step(replace(first.but(layers=len(row)), name=last))
        gone = {step.name for step in row[:-1]}
        return plan.with_steps([step for step in plan.steps if step.name not in gone]), state
    raise r.NotHere


def norms_of_torch(plan: Plan, state: State, rng: np.random.Generator) -> r.Written:
    """PyTorch's own RMS norm in the place of one written by hand, and SiLU by hand."""
    changed = [
        step.but(own=None)
        if step.op == "rms"
        else step.but(kind="swish")
        if step.get("kind") == "silu"
        else step
        for step in plan.steps
    ]
    return r._required(plan.with_steps(changed), state, int(changed != list(plan.steps)))


IN_TORCH: dict[str, r.Rewrite] = {
    "as it is": r.as_it_is, "folded norms": r.folded, "functional": r.functional,
    "padding before": r.padded_before, "permuted units": r.permuted, "rescaled units": r.rescaled,
    "renamed": r.renamed, "flat": r.flat, "nested otherwise": r.nested, "branches reordered": r.reordered,
    "identities": r.with_identities, "split concatenation": r.split_concat, "fused qkv": fused_qkv,
    "whole attention": whole, "sdpa": by_sdpa, "scaled weights": scaled_weights, "other rotary": other_rotary,
    "permuted heads": permuted_heads, "stacked": stacked, "norms of torch": norms_of_torch,
    "settings of training": r.for_training,
    "folded and functional": r.also_applied(r.folded, r.functional),
    "permuted and nested": r.also_applied(r.permuted, permuted_heads, r.nested),
}  # fmt: skip
IN_KERAS: dict[str, r.Rewrite] = {
    "as it is": r.as_it_is, "folded norms": r.folded, "built in": r.built_in,
    "padding before": r.padded_before, "permuted units": r.permuted, "renamed": r.renamed,
    "branches reordered": r.reordered, "identities": r.with_identities, "whole attention": whole,
    "fused qkv": fused_qkv, "separable": r.separable, "pointwise as dense": r.pointwise_as_dense,
    "split concatenation": r.split_concat, "permuted heads": permuted_heads,
    "settings of training": r.for_training,
    "folded and built in": r.also_applied(r.folded, r.built_in),
    "built in and reordered": r.also_applied(r.built_in, r.reordered),
    "permuted and renamed": r.also_applied(r.permuted, permuted_heads, r.renamed),
}  # fmt: skip
"""Ways to write the port in each framework."""
