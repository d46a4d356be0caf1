"""How the rows of a summary come: what one pass showed of each layer, and what adds up from those within."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..captures.forms import forms
from ..models.network import Network
from ..words.arrays import Activation
from ..words.protocols import Layer
from ..words.supports_models import ParameterForm
from .multiply_accumulates import Call, Form, has_formula, multiply_accumulates
from .parts import SummaryRow


@dataclass
class Seen:
    """What a pass showed of each layer."""

    calls: dict[str, list[Call]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def observe(network: Network, x: Any, axes: Any) -> Seen:
    """Make one pass, and keep the forms of what every layer was given and returned."""
    found = forms(network, x, axes, with_given=True)
    inputs, calls = _by_call(found.given), dict[str, list[Call]]()
    for (path, number), outputs in _by_call(found.returned).items():
        calls.setdefault(path, []).append(Call(tuple(inputs.get((path, number), ())), tuple(outputs)))
    return Seen(calls, {path: entry.reason for path, entry in found.coverage.items() if entry.reason})


def _by_call(seen: Sequence[Activation]) -> dict[tuple[str, int], list[Form]]:
    """Forms by path and number of the call."""
    found: dict[tuple[str, int], list[Form]] = {}
    for value in seen:
        form = Form(value.leaf, value.axes, value.shape, value.dtype)
        found.setdefault((value.path, value.call), []).append(form)
    return found


@dataclass
class _Count:
    """What adds up from the layers within."""

    parameters: int = 0
    trainable: int = 0
    nbytes: int = 0
    output_bytes: int = 0
    multiply_accumulates: int | None = None

    def include(self, other: _Count) -> None:
        self.parameters += other.parameters
        self.trainable += other.trainable
        self.nbytes += other.nbytes


def rows_of(network: Network, layers: Sequence[Layer], seen: Seen) -> list[SummaryRow]:
    parents = network.parents
    own, shared = _own_counts(network, layers, parents)
    totals = {path: replace(count) for path, count in own.items()}
    within: dict[str, list[str]] = {layer.path: [] for layer in layers}
    by_path = {layer.path: layer for layer in layers}
    known: dict[str, int | None] = {}
    for layer in reversed(layers):  # what stands within comes later
        path, calls = layer.path, seen.calls.get(layer.path, [])
        children, total = within[path], totals[path]
        counted = [multiply_accumulates(layer, call) for call in calls]
        known[path] = None if not calls or None in counted else sum(filter(None, counted))
        below = [totals[child].multiply_accumulates for child in children]
        total.multiply_accumulates = known[path]
        if children and not has_formula(layer):
            total.multiply_accumulates = sum(filter(None, below)) if calls or any(below) else None
        within_bytes = sum(totals[child].output_bytes for child in children)
        total.output_bytes = within_bytes or sum(_nbytes(form) for call in calls for form in call.outputs)
        if path in parents:
            within[parents[path]].append(path)
            totals[parents[path]].include(total)
    whole = max(totals[layers[0].path].parameters, 1)
    depths: dict[str, int] = {}
    rows = []
    for path, layer in by_path.items():
        depths[path] = depths[parents[path]] + 1 if path in parents else 0
        calls, total = seen.calls.get(path, []), totals[path]
        inputs, outputs = (calls[0].inputs, calls[0].outputs) if calls else ((), ())
        reason = seen.reasons.get(path, "")
        if not reason and calls and total.multiply_accumulates is None:
            reason = f"it is not known how often a layer of kind {layer.kind!r} multiplies"
        rows.append(
            SummaryRow(
                path=path,
                kind=layer.kind,
                type_name=layer.type_name,
                parent=parents.get(path),
                depth=depths[path],
                input_shape=inputs[0].shape if inputs else None,
                output_shape=outputs[0].shape if outputs else None,
                input_axes=inputs[0].axes if inputs else None,
                output_axes=outputs[0].axes if outputs else None,
                inputs=inputs,
                outputs=outputs,
                parameters=total.parameters,
                trainable_parameters=total.trainable,
                own_parameters=own[path].parameters,
                parameter_bytes=total.nbytes,
                output_bytes=total.output_bytes,
                multiply_accumulates=total.multiply_accumulates,
                share=total.parameters / whole,
                calls=len(calls),
                shared_with=shared.get(path),
                reason=reason,
            )
        )
    return rows


def _own_counts(
    network: Network, layers: Sequence[Layer], parents: Mapping[str, str]
) -> tuple[dict[str, _Count], dict[str, str]]:
    """What each layer has itself, everything once; and with whom it shares what was counted before.

    What a layer shows of those within it, as attention does of its projections, counts with these.
    """
    owners: dict[Hashable, tuple[str, ParameterForm]] = {}
    shared: dict[str, str] = {}
    for layer in layers:
        for form in _parameters_of(network, layer):
            owner = owners.get(form.identity)
            if owner is None or stands_in(layer.path, owner[0], parents):
                owners[form.identity] = layer.path, form
            else:
                shared[layer.path] = owner[0]
    counts = {layer.path: _Count() for layer in layers}
    for path, form in owners.values():
        trainable = form.size if form.trainable else 0
        counts[path].include(_Count(form.size, trainable, form.nbytes))
    return counts, shared


def stands_in(path: str, outer: str, parents: Mapping[str, str]) -> bool:
    while path in parents:
        path = parents[path]
        if path == outer:
            return True
    return False


def _parameters_of(network: Network, layer: Layer) -> Iterable[ParameterForm]:
    if hasattr(network.adapter, "parameters_of"):
        yield from network.adapter.parameters_of(layer)
        return
    for weight in layer.weights.values():
        size = int(np.prod(weight.shape, dtype=np.int64))
        yield ParameterForm(weight.identity, size, _itemsize(weight.dtype, size), weight.trainable)


def _nbytes(form: Form) -> int:
    return _itemsize(form.dtype, form.size)


def _itemsize(dtype: str, size: int) -> int:
    """How many bytes numbers of a native dtype take: ``bfloat16``, ``float8_e4m3fn``, ``bool``."""
    bits = re.search(r"\d+", dtype)
    return -(-size * int(bits[0]) // 8) if bits else size
