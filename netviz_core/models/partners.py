"""Finds the steps of two models that correspond, layer by layer, or one layer against several."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ..words.errors import InputError
from ..words.protocols import Layer
from .alignment import LayerMapping, LayerMatch, align, given_groups
from .checkpoint import Checkpoint
from .described import RememberedLayer
from .forms import forms_of
from .parts import Part, brought_together, divided, parts_of
from .weights import read_each


class Partners(NamedTuple):
    """Steps that correspond, each two with kernels of one rank, and those of either side without a partner."""

    matches: Sequence[LayerMatch[Part]]
    left: Sequence[Part]
    over: Sequence[Part]


def partners_of(
    sources: Iterable[Layer],
    targets: Iterable[Layer],
    mapping: LayerMapping | None = None,
    *,
    ordered: bool = True,
    by_contents: bool = False,
) -> Partners:
    """Pair the steps of the layers of two models.

    Raises
    ------
    LayerNotFoundError
        If `mapping` names a layer that is not there.
    InputError
        If it is no mapping, maps a layer twice, or maps layers of which one takes steps that the other does not.
    """
    ours, theirs = (_with_weights(layers) for layers in (sources, targets))
    groups = given_groups(list(ours.values()), theirs, mapping)
    named = [{layer.path for group in groups for layer in group[side]} for side in (0, 1)]
    left, right = _parts_of_both(_seen(ours, named[0]), _seen(theirs, named[1]))
    given = []
    for group in groups:
        own = [left[layer.path] for layer in group[0]], [right[layer.path] for layer in group[1]]
        steps = _fitted(*(list(chain.from_iterable(side)) for side in own))
        for layers, side, fitted in zip(group, (left, right), steps, strict=True):
            side |= {layer.path: [part for part in fitted if part.path == layer.path] for layer in layers}
        given.append(steps)
    ours_in_order, theirs_in_order = (list(chain.from_iterable(side.values())) for side in (left, right))
    found = _paired(
        ours_in_order, theirs_in_order, given, ordered=ordered, contents=_contents if by_contents else None
    )
    _require_whole(groups, found)
    return found


def _paired(
    ours: list[Part], theirs: list[Part], given: Sequence[tuple[list[Part], list[Part]]], **how: Any
) -> Partners:
    roles = {part.role for part in ours} & {part.role for part in theirs}
    forms = {id(part): forms_of(part, roles) for part in (*ours, *theirs)}
    matches = align(ours, theirs, lambda part: forms[id(part)], given, **how)
    paired = {id(part) for match in matches for part in (match.source, match.target)}
    left, over = ([part for part in side if id(part) not in paired] for side in (ours, theirs))
    together = [LayerMatch(*brought_together(m.source, m.target), m.evidence) for m in matches]
    return Partners(together, left, over)


def steps_between(source: Layer | Sequence[Layer], target: Layer | Sequence[Layer]) -> Partners:
    """Pair the steps of layers that are known to correspond, one or several on each side."""
    groups = [list(side) if isinstance(side, Sequence) else [side] for side in (source, target)]
    left, right = _parts_of_both(*({layer.path: layer for layer in side} for side in groups))
    steps = _fitted(*(list(chain.from_iterable(side.values())) for side in (left, right)))
    if len(steps[0]) == len(steps[1]) == 1:  # which are partners, whatever they are
        return Partners([LayerMatch(*brought_together(steps[0][0], steps[1][0]), "given")], [], [])
    return _paired(*steps, [steps])


def _with_weights(layers: Iterable[Layer]) -> dict[str, Layer]:
    remembered = map(RememberedLayer, layers)
    return {layer.path: layer for layer in remembered if layer.weights}


def _seen(layers: Mapping[str, Layer], named: Iterable[str]) -> dict[str, Layer]:
    """Without layers whose weights another shows, in which they stand: unless they are named."""
    hidden = {layer.path for layer in _shown_above(list(layers.values()))} - {*named}
    return {path: layer for path, layer in layers.items() if path not in hidden}


def _shown_above(layers: Sequence[Layer]) -> Iterator[Layer]:
    """Layers whose weights a layer that they stand in shows already, as attention does its projections'."""
    shown: dict[Hashable, list[str]] = {}
    for layer in layers:
        holders = [shown.get(weight.identity, []) for weight in layer.weights.values()]
        if all(any(_stands_in(layer.path, path) for path in paths) for paths in holders):
            yield layer
        for weight in layer.weights.values():
            shown.setdefault(weight.identity, []).append(layer.path)


def _stands_in(path: str, other: str) -> bool:
    return path != other and (not other or path.startswith((f"{other}.", f"{other}/")))


def _parts_of_both(
    ours: Mapping[str, Layer], theirs: Mapping[str, Layer]
) -> tuple[dict[str, list[Part]], dict[str, list[Part]]]:
    """The steps of all layers; what lies fused in a layer is not taken apart if the other side has it so, too."""
    kernels = _kernels(theirs), _kernels(ours)
    left, right = (
        {path: parts_of(layer, undivided) for path, layer in side.items()}
        for side, undivided in zip((ours, theirs), kernels, strict=True)
    )
    return left, right


def _kernels(layers: Mapping[str, Layer]) -> set[tuple[int, ...]]:
    kernels = (layer.weights.get("kernel") for layer in layers.values())
    return {kernel.shape for kernel in kernels if kernel is not None}


def _fitted(ours: list[Part], theirs: list[Part]) -> tuple[list[Part], list[Part]]:
    """Where a dense layer is to be several, its outputs are theirs, one after the other."""
    if len(ours) == 1 < len(theirs):
        return _as_several(ours[0], theirs), theirs
    if len(theirs) == 1 < len(ours):
        return ours, _as_several(theirs[0], ours)
    return ours, theirs


def _as_several(whole: Part, parts: Sequence[Part]) -> list[Part]:
    kernels = [part.weights["kernel"] for part in (whole, *parts) if "kernel" in part.weights]
    if len(kernels) <= len(parts) or {kernel.shape[1:] for kernel in kernels} != {kernels[0].shape[1:]}:
        return [whole]
    rows = [kernel.shape[0] for kernel in kernels]
    if sum(rows[1:]) != rows[0]:
        return [whole]
    return [*divided(whole, {f"{number}": size for number, size in enumerate(rows[1:])})]


def _require_whole(groups: Sequence[tuple[list[Layer], list[Layer]]], found: Partners) -> None:
    """Refuse a mapping that leaves steps of its layers without a partner."""
    rest = {part.path: part for part in (*found.left, *found.over) if part.kind != "parameter"}
    for ours, theirs in groups:
        part = next((rest[layer.path] for layer in (*ours, *theirs) if layer.path in rest), None)
        if part is not None:
            paths = [", ".join(repr(layer.path) for layer in side) for side in (ours, theirs)]
            raise InputError(
                f"mapping: {paths[0]} cannot be {paths[1]}: of {part.path!r}, {part.step or part.kind!r} has no "
                f"counterpart; where several layers do what one does, give a tuple of their paths"
            )


def _contents(part: Part) -> Iterator[Hashable]:
    """The numbers that it holds, weight by weight, as coarse as bfloat16 has them; all alike tell nothing."""
    for array in read_each(part.weights)[0].values():
        values = np.ascontiguousarray(array, np.float32).reshape(-1)
        if values.size > 1 and (values != values[0]).any():
            bits = (values + 0.0).view(np.uint32)
            rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
            yield array.shape, hash(rounded.astype(np.uint16).tobytes())


def is_ordered(model: Any) -> bool:
    """Whether the order of the layers means something: files that list their tensors by name do not tell it."""
    return not isinstance(model, Checkpoint) or model.ordered
