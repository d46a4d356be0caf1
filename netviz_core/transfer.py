"""Copies weights from one framework's model to another's, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .alignment import LayerMapping, LayerMatch, align
from .errors import InputError, NetvizError
from .network import wrap
from .protocols import Layer, WeightTensor

_NEUTRAL = {
    "bias": 0.0,
    "recurrent_bias": 0.0,
    "scale": 1.0,
    "running_mean": 0.0,
    "running_variance": 1.0,
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
    weight: WeightTensor
    values: np.ndarray[Any, Any]


def copy_weights(source: Any, target: Any, mapping: LayerMapping | None = None) -> WeightTransfer:
    """Give one model the weights of another, across frameworks.

    Layers are paired by `mapping`, by equal paths, and in order of equal kind and shapes. All values
    are checked before the first is written; if a write fails, what was written is put back.

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
    ours, theirs = (
        [layer for layer in wrap(model).layers.values() if layer.weights] for model in (source, target)
    )
    matches = align(ours, theirs, _signature, mapping)
    if not matches:
        raise InputError(
            f"no layer of the one model corresponds to one of the other: {_listed(ours)} against {_listed(theirs)}; "
            f"pair them with mapping={{…}}"
        )
    copied: list[CopiedWeight] = []
    skipped: list[SkippedWeight] = []
    writes: list[_Write] = []
    for match in matches:
        _plan(match, writes, copied, skipped)
    skipped += _unmatched("source", ours, {match.source.path for match in matches})
    skipped += _unmatched("target", theirs, {match.target.path for match in matches})
    _write_all(writes)
    return WeightTransfer(tuple(copied), tuple(skipped))


def _signature(layer: Layer) -> tuple[Any, ...]:
    """What two layers must have in common to be paired in order: biases and scales may be left out."""
    essential = {name: weight.shape for name, weight in layer.weights.items() if _neutral(name) is None}
    sizes = essential or {name: weight.shape for name, weight in layer.weights.items()}
    if not essential and layer.kind.endswith("_norm"):
        sizes = {"channel": next(iter(layer.weights.values())).shape}
    return (layer.kind, tuple(sorted(sizes.items())))


def _neutral(name: str) -> float | None:
    return next(
        (value for stem, value in _NEUTRAL.items() if name == stem or name.startswith(f"{stem}_")), None
    )


def _plan(
    match: LayerMatch, writes: list[_Write], copied: list[CopiedWeight], skipped: list[SkippedWeight]
) -> None:
    """Find what each weight of the target shall be, and check it."""
    source, target = match.source, match.target
    values = {name: weight.numpy() for name, weight in source.weights.items()}
    merged = _merge_recurrent_biases(target, values)
    for name, weight in target.weights.items():
        neutral, note = _neutral(name), ""
        if name in values:
            new = values.pop(name)
            note = merged.get(name, "")
        elif neutral is not None:
            new = np.full(weight.shape, neutral, np.float32)
            note = f"the source has none, which is the same as {neutral:g}"
        else:
            skipped.append(SkippedWeight("target", target.path, name, f"{source.path!r} has no such weight"))
            continue
        try:
            writes.append(_Write(weight, weight.check(new)))
        except NetvizError as error:
            if match.evidence == "given":
                raise InputError(f"{source.path!r} cannot be copied to {target.path!r}: {error}") from error
            skipped.append(SkippedWeight("target", target.path, name, str(error)))
        else:
            copied.append(CopiedWeight(source.path, target.path, name, match.evidence, note))
    for name, rest in values.items():
        neutral = _neutral(name)
        if neutral is None or not (rest == neutral).all():
            skipped.append(SkippedWeight("source", source.path, name, f"{target.path!r} has no such weight"))


def _merge_recurrent_biases(target: Layer, values: dict[str, np.ndarray[Any, Any]]) -> dict[str, str]:
    """Where only the source keeps two biases, their sum does the same; not in a GRU, whose reset gate parts them."""
    if target.kind not in ("lstm", "rnn"):
        return {}
    merged = {}
    for name in [name for name in values if name.startswith("recurrent_bias") and name not in target.weights]:
        bias = name.removeprefix("recurrent_")
        values[bias] = values[bias] + values.pop(name)
        merged[bias] = "the sum of the source's two biases"
    return merged


def _unmatched(side: str, layers: Sequence[Layer], matched: set[str]) -> Iterator[SkippedWeight]:
    for layer in layers:
        if layer.path not in matched:
            for name in layer.weights:
                yield SkippedWeight(side, layer.path, name, "no layer of the other model corresponds")


def _write_all(writes: Sequence[_Write]) -> None:
    """Write everything; if that fails half-way, put back what was there."""
    before = [weight.numpy() for weight, _ in writes]
    done = 0
    try:
        for weight, values in writes:
            done += 1
            weight.assign(values)
    except BaseException:
        for (weight, _), old in list(zip(writes, before, strict=True))[:done]:
            weight.assign(old, allow_nonfinite=True)
        raise


def _listed(layers: Sequence[Layer], limit: int = 4) -> str:
    named = ", ".join(f"{layer.path} ({layer.kind})" for layer in layers[:limit])
    return (named or "no layer with weights") + (", …" if len(layers) > limit else "")
