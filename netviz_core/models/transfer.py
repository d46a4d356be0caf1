"""Copies weights from one framework's model to another's, whole or not at all."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..words.cards import NAME, PROSE, TEXT, Telling, Told, details, table
from ..words.errors import InputError, NetvizError
from ..words.progress import step, steps
from ..words.protocols import Layer, WeightTensor
from ..words.text_tables import counted
from .alignment import AMONG_EQUALS, LayerMapping, LayerMatch
from .counterparts import counterpart, values_for
from .forms import is_neutral
from .network import wrap
from .partners import is_ordered, partners_of
from .parts import Part
from .stored import as_written


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


@dataclass(frozen=True, repr=False)
class WeightTransfer(Telling):
    """What `copy_weights` did.

    Parameters
    ----------
    copied : tuple of CopiedWeight
    skipped : tuple of SkippedWeight
        Empty if every weight of both models took part.
    """

    copied: tuple[CopiedWeight, ...]
    skipped: tuple[SkippedWeight, ...]

    def __repr__(self) -> str:
        return f"<WeightTransfer: {self._counts}>"

    @property
    def _counts(self) -> str:
        return f"{counted(len(self.copied), 'weight')} copied, {len(self.skipped)} not"

    @property
    def _advice(self) -> str:
        unsure = sum(entry.evidence == AMONG_EQUALS for entry in self.copied)
        return f"; {unsure} by {AMONG_EQUALS}: compare both with an input" if unsure else ""

    def _told(self) -> Told:
        skipped = {"not copied": NAME, "weight": NAME, "of": TEXT, "because": PROSE}
        copied = {"from": NAME, "to": NAME, "weight": NAME, "by": TEXT, "note": PROSE}
        return Told(
            f"{self._counts}{self._advice}",
            [
                table(skipped, self.skipped, lambda it: (it.path, it.weight, f"the {it.side}", it.reason)),
                details("what was copied", table(copied, self.copied, list)),
            ],
            "doubtful" if self.skipped or self._advice else "fine",
        )

    def __str__(self) -> str:
        lines = [f"{self._counts}{self._advice}"]
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


def copy_weights(
    source: Any, target: Any, mapping: LayerMapping | None = None, *, progress: bool = True
) -> WeightTransfer:
    """Give one model the weights of another, across frameworks.

    What a model's own framework wrote of its weights goes back by the names in the file. Else
    layers are paired by `mapping`, by equal paths, and in order of equal kind and shapes: the order in
    which each model lists them. One layer may be several: stacked recurrent layers and directions, a separable
    convolution, an attention and its projections, also where these lie in one layer called ``qkv``; a convolution of
    size one is a dense layer, and what a container holds may stand in a layer of its own. Where the two list their
    layers in different orders, it is that ``among equals``, and two branches of equal shapes may be exchanged:
    `compare` finds that, and `mapping` mends it. Where the two see flattened features in different orders, kernels
    are permuted to match, which the report tells.
    All values are checked before the first is written; if a write fails, what was written is put back.

    Parameters
    ----------
    source, target : native model, path, or Network
    mapping : mapping from path to path, or callable, optional
        Names, or globs with one ``*`` on both sides; or a function of a `Layer` that returns a path of
        `target` or None. Where one layer is several, a tuple of paths on either side, in their order. What it does
        not name is paired as usual.
    progress : bool
        Show what is being done where that takes more than two seconds, and there is a terminal or notebook.

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
    with steps("copy weights", progress):
        return _copied(source, target, mapping)


def _copied(source: Any, target: Any, mapping: LayerMapping | None) -> WeightTransfer:
    networks = wrap(source), wrap(target)
    written = as_written(*networks)
    ours, theirs = written or networks[0].layers.values(), networks[1].layers.values()
    ordered = all(is_ordered(network.native) for network in networks)
    found = partners_of(ours, theirs, mapping, ordered=ordered)
    if not found.matches:
        raise InputError(
            f"no layer of the one model corresponds to one of the other: {_listed(found.left)} against "
            f"{_listed(found.over)}; pair them with mapping={{…}}"
        )
    plan = _Plan(across=written is None and networks[0].backend != networks[1].backend)
    for number, match in enumerate(found.matches):
        step("checking weights", number, len(found.matches))
        plan.add(match)
    skipped = [
        *plan.skipped,
        *_unmatched("source", found.left, [match.source for match in found.matches]),
        *_unmatched("target", found.over, [match.target for match in found.matches]),
    ]
    step("writing weights")
    _write_all(plan.writes.values())
    return WeightTransfer(tuple(plan.copied), tuple(skipped))


class _Plan:
    """What is to be written, by the identity and the name of the weight, and what is to be told of it."""

    def __init__(self, across: bool) -> None:
        self._across = across
        self.writes: dict[Hashable, _Write] = {}
        self.copied: list[CopiedWeight] = []
        self.skipped: list[SkippedWeight] = []

    def add(self, match: LayerMatch[Part]) -> None:
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
                self.skipped.append(SkippedWeight("target", target.path, weight.name, str(error)))
            else:
                notes = ", ".join(filter(None, (merged.get(name, ""), note, tied, differs)))
                self.copied.append(CopiedWeight(source.path, target.path, weight.name, evidence, notes))
        for name, rest in values.items():
            if name not in target.weights and not is_neutral(name, rest):
                reason = f"{target.path!r} has no such weight"
                self.skipped.append(SkippedWeight("source", source.path, source.weights[name].name, reason))

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


def _require_named_axes(weight: WeightTensor, source: Layer, target: Layer) -> None:
    equal = len(set(weight.shape)) < len(weight.shape)  # else they go together in one way
    if equal and "axis0" in weight.axes:
        raise InputError(
            f"its axes have no names, so that their order in the other framework is not known; "
            f"if it is the same, say mapping={{{source.path!r}: {target.path!r}}}"
        )


def _unmatched(side: str, parts: Sequence[Part], matched: Sequence[Part]) -> Iterator[SkippedWeight]:
    """What no pair has, under this name or another."""
    told = {weight.identity for part in matched for weight in part.weights.values()}
    for part in parts:
        for weight in part.weights.values():
            if weight.identity not in told:
                told.add(weight.identity)
                yield SkippedWeight(side, part.path, weight.name, "no layer of the other model corresponds")


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


def _listed(layers: Sequence[Part], limit: int = 4) -> str:
    named = ", ".join(f"{layer.path} ({layer.kind})" for layer in layers[:limit])
    return (named or "no layer with weights") + (", …" if len(layers) > limit else "")
