"""Copies weights from one framework's model to another's, whole or not at all."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..words.errors import InputError, NetvizError
from ..words.protocols import Layer, WeightTensor
from .alignment import LayerMapping, LayerMatch, align
from .checkpoint import FILE_OF_KERAS, Checkpoint
from .flattening import reordered
from .network import wrap

_NEUTRAL = {
    "bias": 0.0,
    "recurrent_bias": 0.0,
    "scale": 1.0,
}
"""What a weight would be where it makes no difference, by the name up to its suffix."""


class CopiedWeight(NamedTuple):
    """A weight that was copied, and what says that the two layers correspond."""

    source: str
    target: str
    weight: str
    evidence: str
    note: str = ""


class SkippedWeight(NamedTuple):
    """A weight that was not copied, and why: of the ``source`` or of the ``target``."""

    side: str
    path: str
    weight: str
    reason: str


@dataclass(frozen=True)
class WeightTransfer:
    """What `copy_weights` did.

    Parameters
    ----------
    copied : tuple of CopiedWeight
    skipped : tuple of SkippedWeight
        Empty if every weight of both models took part.
    """

    copied: tuple[CopiedWeight, ...]
    skipped: tuple[SkippedWeight, ...]

    def __str__(self) -> str:
        lines = [f"{len(self.copied)} weights copied, {len(self.skipped)} not"]
        lines += [
            f"  {entry.source} → {entry.target}: {entry.weight} (by {entry.evidence})"
            + (f", {entry.note}" if entry.note else "")
            for entry in self.copied
        ]
        lines += [
            f"  not {entry.side} {entry.path}: {entry.weight}: {entry.reason}" for entry in self.skipped
        ]
        return "\n".join(lines)


class _Write(NamedTuple):
    path: str
    weight: WeightTensor
    values: np.ndarray[Any, Any]


def copy_weights(source: Any, target: Any, mapping: LayerMapping | None = None) -> WeightTransfer:
    """Give one model the weights of another, across frameworks.

    Layers are paired by `mapping`, by equal paths, and in order of equal kind and shapes: the order in
    which each model lists them. Where the two list them in different orders, it is that ``among equals``,
    and two branches of equal shapes may be exchanged: `compare` finds that, and `mapping` mends it. Where the two
    see flattened features in different orders, kernels are permuted to match, which the report tells.
    All values are checked before the first is written; if a write fails, what was written is put back.

    Parameters
    ----------
    source, target : native model, path, or Network
    mapping : mapping from path to path, or callable, optional
        Names, or globs with one ``*`` on both sides; or a function of a `Layer` that returns a path of
        `target` or None. What it does not name is paired as usual.

    Returns
    -------
    WeightTransfer
        What was copied, and what was not, with the reason.

    Raises
    ------
    LayerNotFoundError
        If `mapping` names a layer that is not there.
    InputError
        If no layer of the two corresponds, or a pair that `mapping` gives does not fit.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> print(copy_weights(example_model(seed=1), example_model(seed=2)))
    4 weights copied, 0 not
      conv1 → conv1: kernel (by name)
      conv1 → conv1: bias (by name)
      dense1 → dense1: kernel (by name)
      dense1 → dense1: bias (by name)
    """
    networks = wrap(source), wrap(target)
    (ours, inner_ours), (theirs, inner_theirs) = (
        layers_to_pair(network.layers.values()) for network in networks
    )
    inner = inner_ours | inner_theirs
    matches = align(
        ours,
        theirs,
        lambda layer: object() if id(layer) in inner else signature_of(layer),
        mapping,
        ordered=all(_has_order(network.native) for network in networks),
    )
    if not matches:
        raise InputError(
            f"no layer of the one model corresponds to one of the other: {_listed(ours)} against {_listed(theirs)}; "
            f"pair them with mapping={{…}}"
        )
    plan = _Plan(across=networks[0].backend != networks[1].backend)
    for match in matches:
        plan.add(match)
    skipped = [
        *plan.skipped,
        *_unmatched("source", ours, [match.source for match in matches]),
        *_unmatched("target", theirs, [match.target for match in matches]),
    ]
    _write_all(plan.writes.values())
    return WeightTransfer(tuple(plan.copied), tuple(skipped))


def _has_order(model: Any) -> bool:
    """Files that list their tensors by name do not tell which layer comes first."""
    return not isinstance(model, Checkpoint) or model.ordered


def layers_to_pair(layers: Iterable[Layer]) -> tuple[list[Layer], set[int]]:
    """The layers with weights, and the ids of those that are to be paired by name alone."""
    found = [layer for layer in layers if layer.weights]
    return found, {id(layer) for layer in _shown_above(found)}


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


def signature_of(layer: Layer) -> tuple[Any, ...]:
    """What two layers must have in common to be paired in order: biases and scales may be left out."""
    essential = {name: weight.shape for name, weight in layer.weights.items() if _neutral(name) is None}
    sizes = essential or {name: weight.shape for name, weight in layer.weights.items()}
    if not essential and layer.kind.endswith("_norm"):
        sizes = {"channel": next(iter(layer.weights.values())).shape}
    return (layer.kind, tuple(sorted(sizes.items())))


def is_neutral(name: str, values: np.ndarray[Any, Any]) -> bool:
    """Whether a weight makes no difference: a bias of zeros, a scale of ones."""
    neutral = _neutral(name)
    return neutral is not None and bool((values == neutral).all())


def _neutral(name: str) -> float | None:
    return next(
        (value for stem, value in _NEUTRAL.items() if name == stem or name.startswith(f"{stem}_")), None
    )


class _Plan:
    """What is to be written, by the identity and the name of the weight, and what is to be told of it."""

    def __init__(self, across: bool) -> None:
        self._across = across
        self.writes: dict[Hashable, _Write] = {}
        self.copied: list[CopiedWeight] = []
        self.skipped: list[SkippedWeight] = []

    def add(self, match: LayerMatch) -> None:
        """Find what each weight of the target shall be, and check it."""
        source, target, evidence = match
        values, merged = values_for(source, target)
        differs = _difference(source, target)
        for name, weight in target.weights.items():
            try:
                if self._across and evidence != "given":
                    _require_named_axes(weight, source, target)
                new, note = counterpart(name, weight, values, source, target)
                tied = self._write(target, weight, weight.check(new))
            except NetvizError as error:
                if evidence == "given":
                    raise InputError(
                        f"{source.path!r} cannot be copied to {target.path!r}: {error}"
                    ) from error
                self.skipped.append(SkippedWeight("target", target.path, name, str(error)))
            else:
                notes = ", ".join(filter(None, (merged.get(name, ""), note, tied, differs)))
                self.copied.append(CopiedWeight(source.path, target.path, name, evidence, notes))
        for name, rest in values.items():
            if name not in target.weights and not is_neutral(name, rest):
                reason = f"{target.path!r} has no such weight"
                self.skipped.append(SkippedWeight("source", source.path, name, reason))

    def _write(self, layer: Layer, weight: WeightTensor, values: np.ndarray[Any, Any]) -> str:
        """Write a tied weight once; layers that share it must agree on what it shall be."""
        planned = self.writes.setdefault(weight.identity, _Write(layer.path, weight, values))
        if planned.weight is weight:
            return ""
        if not np.array_equal(planned.values.ravel(), values.ravel()):
            raise InputError(f"it is tied to that of {planned.path!r}, which is given other values")
        return f"written once, since it is tied to that of {planned.path!r}"


def _difference(source: Layer, target: Layer) -> str:
    """What makes two recurrent layers of the same weights compute something else."""
    if target.kind not in ("lstm", "gru", "rnn"):
        return ""
    told = []
    for name, usual in (("activation", None), ("recurrent_activation", None), ("go_backwards", False)):
        left, right = source.config.get(name, usual), target.config.get(name, usual)
        if left != right and None not in (left, right):
            told.append(f"though {name} is {left} there and {right} here")
    return ", ".join(told)


def values_for(
    source: Layer, target: Layer, copy: bool = True
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """The weights of `source` as far as `target` has such, and what was done to them, by name.

    Without a copy they are only to be looked at.
    """
    values = {name: weight.numpy() if copy else weight.peek() for name, weight in source.weights.items()}
    return values, merge_recurrent_biases(target, values)


def counterpart(
    name: str,
    weight: WeightTensor,
    values: Mapping[str, np.ndarray[Any, Any]],
    source: Layer,
    target: Layer,
) -> tuple[np.ndarray[Any, Any], str]:
    """What a weight of `target` is if it computes the same as `source`, and what was done for it.

    Parameters
    ----------
    name, weight : str, WeightTensor
        One of `target`.
    values : mapping
        See `values_for`.
    source, target : Layer

    Raises
    ------
    InputError
        If `source` has no such weight, or no such weight can compute the same.
    """
    reset_after = [layer.config.get("reset_after") for layer in (source, target)]
    if reset_after[0] != reset_after[1]:
        raise InputError(
            f"{source.path!r} has reset_after={reset_after[0]} and {target.path!r} reset_after={reset_after[1]}: "
            f"the same weights would compute something else"
        )
    if name not in values:
        neutral = _neutral(name)
        if neutral is None:
            raise InputError(f"{source.path!r} has no such weight")
        return np.full(
            weight.shape, neutral, np.float32
        ), f"the source has none, which is the same as {neutral:g}"
    if "flattened" in target.config and source.type_name == FILE_OF_KERAS:
        raise InputError(
            "the file does not tell in which order its features were flattened; "
            "load it with Keras' own load_weights"
        )
    return reordered(values[name], weight.axes, source, target)


def _require_named_axes(weight: WeightTensor, source: Layer, target: Layer) -> None:
    if len(weight.axes) > 1 and "axis0" in weight.axes:
        raise InputError(
            f"its axes have no names, so that their order in the other framework is not known; "
            f"if it is the same, say mapping={{{source.path!r}: {target.path!r}}}"
        )


def merge_recurrent_biases(target: Layer, values: dict[str, np.ndarray[Any, Any]]) -> dict[str, str]:
    """Where only the source keeps two biases, let its `values` have their sum; a GRU's reset gate parts them.

    Returns what was done, by name.
    """
    if target.kind not in ("lstm", "rnn"):
        return {}
    merged = {}
    for name in [name for name in values if name.startswith("recurrent_bias") and name not in target.weights]:
        bias = name.removeprefix("recurrent_")
        values[bias] = values[bias] + values.pop(name)
        merged[bias] = "the sum of the source's two biases"
    return merged


def _unmatched(side: str, layers: Sequence[Layer], matched: Sequence[Layer]) -> Iterator[SkippedWeight]:
    """What no pair has, under this name or another."""
    told = {weight.identity for layer in matched for weight in layer.weights.values()}
    for layer in layers:
        for name, weight in layer.weights.items():
            if weight.identity not in told:
                told.add(weight.identity)
                yield SkippedWeight(side, layer.path, name, "no layer of the other model corresponds")


def _write_all(writes: Iterable[_Write]) -> None:
    """Write everything; if that fails half-way, put back what was there."""
    before: list[tuple[WeightTensor, np.ndarray[Any, Any]]] = []
    try:
        for _, weight, values in writes:
            before.append((weight, weight.numpy()))
            weight.assign(values)
    except BaseException:
        for weight, old in before:
            with suppress(Exception):  # that which cannot be written has not changed
                weight.assign(old, allow_nonfinite=True)
        raise


def _listed(layers: Sequence[Layer], limit: int = 4) -> str:
    named = ", ".join(f"{layer.path} ({layer.kind})" for layer in layers[:limit])
    return (named or "no layer with weights") + (", …" if len(layers) > limit else "")
