"""How much speaks for each call of a layer of the one model being each of the other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

from ..common import sketch
from ..stations import Station
from .pairs import StationPair

Array = np.ndarray[Any, Any]

_SAME_KIND, _RELATED, _STRANGE = 4.0, 1.5, 0.5
_SAME_PATH, _SAME_WEIGHTS, _SAME_OUTPUT, _SAME_INPUT = 8.0, 6.0, 5.0, 3.0
_SAME_SIZE, _SAME_FUNCTION, _SAME_WORD, _SAME_FORM = 2.0, 1.0, 0.5, 1.0
_REORDERED = frozenset(("dense", "conv1d", "conv2d", "conv3d", "lstm", "gru", "rnn"))
"""Kinds whose units, features or gates may stand in another order."""
_MANY = 1 << 22
_CLOSE = 1e-2
"""How far apart numbers may be that tell of a pair: the one side may have rounded them to a narrow float."""
_MOSTLY = 0.5


class Likeness:
    """How much speaks for each station of a being each of b."""

    def __init__(self, ours: Sequence[Station], theirs: Sequence[Station]) -> None:
        self.ours, self.theirs = [_Features(s) for s in ours], [_Features(s) for s in theirs]
        # A capture that is not complete holds none.
        self.weights_known = all(any(f.weight_form for f in side) for side in (self.ours, self.theirs))
        self.named_alike = _named_alike(self.ours, self.theirs)
        self.same_weights = self._table(lambda f: f.weight_sketch) | self._same_numbers()
        self.same_output = self._table(lambda f: f.output_sketch)
        self.same_input = self._table(lambda f: f.input_sketch)
        self.same_weights &= ~self._read_elsewhere()
        self.scores = self._scored()
        self._alike = [Counter(f.signature for f in side) for side in (self.ours, self.theirs)]

    @property
    def stations(self) -> tuple[list[Station], list[Station]]:
        """The stations of both sides."""
        return [f.station for f in self.ours], [f.station for f in self.theirs]

    def sure(self) -> list[tuple[int, int]]:
        """Pairs of which there is no doubt: each has what is the same of one station of the other side alone."""
        if self.named_alike:
            numbers = {f.key: j for j, f in enumerate(self.theirs)}
            found = [(i, numbers[f.key]) for i, f in enumerate(self.ours) if f.key in numbers]
            return [(i, j) for i, j in found if self.scores[i, j] > 0]
        pairs: list[tuple[int, int]] = []
        for same in (self.same_weights, self.same_output & self._same_kind()):
            table = same & (self.scores > 0)
            for i, j in pairs:
                table[i, :] = table[:, j] = False
            unique = table & (table.sum(0) == 1) & (table.sum(1) == 1)[:, None]
            pairs += [(int(i), int(j)) for i, j in zip(*np.nonzero(unique), strict=True)]
        return pairs

    def _read_elsewhere(self) -> Array:
        """Whether another station, with weights of the same form, is given what this one should have been given.

        Then equal weights tell that these stand in the wrong layer.
        """
        numbers: dict[Any, int] = {}
        forms = [
            np.array([numbers.setdefault(f.weight_form, len(numbers)) for f in side])
            for side in (self.ours, self.theirs)
        ]
        same_form = forms[0][:, None] == forms[1][None, :]
        has_reader: Array = (self.same_input & same_form).any(1)
        return has_reader[:, None] & ~self.same_input

    def _same_kind(self) -> Array:
        kinds = [np.array([f.kind for f in side]) for side in (self.ours, self.theirs)]
        same: Array = kinds[0][:, None] == kinds[1][None, :]
        return same

    def _same_numbers(self) -> Array:
        """Whether the largest weights hold the same numbers, in whatever order."""
        ours, theirs = (np.array([f.weight_checksum for f in side]) for side in (self.ours, self.theirs))
        same: Array = (ours[:, None] == theirs[None, :]) & (ours[:, None] != 0)
        return same

    def _table(self, of: Callable[[_Features], tuple[Any, Array] | None]) -> Array:
        """Whether sketches agree mostly, for each two of the same form."""
        table = np.zeros((len(self.ours), len(self.theirs)), bool)
        forms = _by_form(map(of, self.theirs))
        for form, (numbers, values) in _by_form(map(of, self.ours)).items():
            if form in forms:
                columns, others = forms[form]
                squares = np.mean(others * others, axis=-1)
                for i, one in zip(numbers, values, strict=True):
                    table[i, columns] = _agree(one, others, squares)
        return table

    def _scored(self) -> Array:
        """The scores of all two; most are of one class with others, and what they are counts once for all."""
        classes = [_classes(side) for side in (self.ours, self.theirs)]
        rows, columns = (numbers for _, numbers in classes)
        by_class = [
            np.array(
                [[self._score(one, other, same_path) for other in classes[1][0]] for one in classes[0][0]]
            )
            for same_path in (False, True)
        ]
        scores: Array = by_class[0][rows[:, None], columns[None, :]]
        if self.named_alike:
            places = {f.key: j for j, f in enumerate(self.theirs)}
            for i, f in enumerate(self.ours):
                if f.key in places:
                    scores[i, places[f.key]] = by_class[1][rows[i], columns[places[f.key]]]
        told = _SAME_WEIGHTS * self.same_weights + _SAME_OUTPUT * self.same_output
        told = told + _SAME_INPUT * self.same_input
        return np.where(scores > 0, scores + told, 0.0)

    def _score(self, left: _Features, right: _Features, same_path: bool) -> float:
        """What speaks for two stations of what they are; 0 where they cannot be partners."""
        is_one_kind = left.kind == right.kind != "other"
        is_named_so = same_path and bool(left.weight_form) is bool(right.weight_form)
        if left.hands_on is not right.hands_on and not (is_one_kind or is_named_so):
            return 0.0
        base = _kinship(left, right)
        if not base and same_path:
            base = _STRANGE
        if not base or (self.weights_known and left.weight_form != right.weight_form and not same_path):
            return 0.0
        score = base + (_SAME_PATH if same_path else 0.0)
        if left.sizes == right.sizes:
            score += _SAME_SIZE
        elif not left.weight_form and not same_path and len(left.sizes) != len(right.sizes):
            return 0.0
        score += _SAME_FORM if left.weight_form else 0.0
        score += _SAME_FUNCTION * (left.function == right.function)
        score += _SAME_WORD * (left.word == right.word)
        return float(score)

    def pair(self, i: int, j: int) -> StationPair:
        """Make a pair, with the evidence for it."""
        left, right = self.ours[i], self.theirs[j]
        evidence, confidence = [], 0.0
        told = (
            (bool(self.same_weights[i, j]), "weights", 0.95),
            (bool(self.same_output[i, j]), "output", 0.9),
            (self.named_alike and left.key == right.key, "name", 0.9),
            (bool(self.same_input[i, j]) and left.kind == right.kind, "input", 0.7),
        )
        for holds, word, worth in told:
            if holds:
                evidence.append(word)
                confidence = 1 - (1 - confidence) * (1 - worth)
        if left.signature == right.signature:
            alike = max(counted[left.signature] for counted in self._alike)
            evidence.append("kind and shapes" if alike == 1 else "order, kind and shapes")
            confidence = max(confidence, 0.8 if alike == 1 else 0.5)
        elif left.kind == right.kind:
            evidence.append("order and kind")
            confidence = max(confidence, 0.3)
        else:
            evidence.append("order")
            confidence = max(confidence, 0.2)
        return StationPair([left.station], [right.station], tuple(evidence), round(confidence, 3))


class _Features:
    """What is looked at of one station."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.kind, self.key = station.layer.kind, station.key
        self.weight_form = _weight_form(station)
        config = station.layer.config
        self.function = str(config.get("activation", "")) if self.kind == "activation" else ""
        self.word = re.sub(r"\W*\d+", "", re.split(r"[./]", station.path)[-1]).lower()

    @cached_property
    def hands_on(self) -> bool:
        """Whether it returns what it was given, as an identity does: it is no partner of what computes."""
        return self.kind != "activation" and self.station.hands_on

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the first thing returned, in any order, without those of one."""
        first = self.station.returned[0].shape if self.station.returned else ()
        return tuple(sorted(size for size in first if size != 1))

    @cached_property
    def keeps_sizes(self) -> bool:
        """Whether it returns as much along each axis as it was given first."""
        given = self.station.given[0].shape if self.station.given else ()
        return tuple(sorted(size for size in given if size != 1)) == self.sizes

    @property
    def signature(self) -> tuple[Any, ...]:
        """What two layers without a name must have in common."""
        return (self.kind, self.weight_form, self.sizes, self.function)

    @cached_property
    def _largest_weight(self) -> tuple[str, Array] | None:
        """The one that tells most: no bias, if there is another."""
        if not self.weight_form:
            return None
        weights = self.station.weights
        if not weights:
            return None
        name = max(weights, key=lambda name: ("bias" not in name, weights[name].size))
        values = weights[name]
        return (name, values) if values.dtype.kind in "fiu" and values.size > 1 else None

    @cached_property
    def weight_sketch(self) -> tuple[Any, Array] | None:
        """Some numbers of the largest weight."""
        if self._largest_weight is None:
            return None
        name, values = self._largest_weight
        return (name, values.shape), sketch(values)

    @cached_property
    def weight_checksum(self) -> int:
        """The same for the same numbers in another order, as those of features or gates; 0 if it is not known."""
        if (
            self._largest_weight is None
            or self.kind not in _REORDERED
            or self._largest_weight[1].size > _MANY
        ):
            return 0
        numbers: Array = np.asarray(self._largest_weight[1], np.float32).ravel("K").view(np.uint32)
        if (numbers == numbers[0]).all():
            return 0  # all zeros, say, tell nothing
        return hash((numbers.size, int(numbers.sum(dtype=np.uint64)), int(np.bitwise_xor.reduce(numbers))))

    @cached_property
    def output_sketch(self) -> tuple[Any, Array] | None:
        return _sketch_of(self.station.returned)

    @cached_property
    def input_sketch(self) -> tuple[Any, Array] | None:
        return _sketch_of(self.station.given)


def _classes(side: Sequence[_Features]) -> tuple[list[_Features], Array]:
    """One of each class of stations that are the same in what they are, and of which class each is."""
    firsts: dict[Any, int] = {}
    numbers = [
        firsts.setdefault((*f.signature, f.hands_on, f.keeps_sizes, f.word), len(firsts)) for f in side
    ]
    known = {number: features for features, number in zip(reversed(side), reversed(numbers), strict=True)}
    return [known[number] for number in range(len(firsts))], np.array(numbers)


def _sketch_of(values: Sequence[Any]) -> tuple[Any, Array] | None:
    if not values or not values[0].values.size:
        return None
    array = values[0].canonical()
    places = [size for size in array.shape[1:] if size != 1]
    return (array.shape[0] if array.shape else 0, *places), sketch(array.values)


def _by_form(sketches: Iterable[tuple[Any, Array] | None]) -> dict[Any, tuple[list[int], Array]]:
    """The numbers of stations that have a sketch, and these, form by form."""
    forms: dict[Any, tuple[list[int], list[Array]]] = {}
    for number, found in enumerate(sketches):
        if found is not None:
            numbers, values = forms.setdefault(found[0], ([], []))
            numbers.append(number)
            values.append(found[1])
    return {form: (numbers, np.array(values)) for form, (numbers, values) in forms.items()}


def _agree(one: Array, others: Array, squares: Array) -> Array:
    """Whether most numbers of a sketch are those of others, of which the mean squares are known."""
    if (one == one[0]).all():
        return np.zeros(len(others), bool)  # all zeros, say, tell nothing
    scales = np.sqrt((np.mean(one * one) + squares) / 2)
    same = np.abs(others - one) <= _CLOSE * scales[:, None]
    if not np.isfinite(scales).all():
        same |= (np.isnan(one) & np.isnan(others)) | (one == others)
    result: Array = same.mean(axis=-1) > _MOSTLY
    return result


def _named_alike(ours: Sequence[_Features], theirs: Sequence[_Features]) -> bool:
    """Whether two models name their layers alike, so that equal names mean something."""
    known = {features.key for features in theirs}
    shared = [features.key for features in ours if features.key in known]
    telling = [path for path, _ in shared if not re.split(r"[./]", path)[-1].isdigit()]
    all_same = len(shared) == len(ours) == len(theirs)
    return all_same or len(telling) > _MOSTLY * min(len(ours), len(theirs))


def _weight_form(station: Station) -> tuple[Any, ...]:
    """What two layers' weights must have in common: biases and scales may be missing."""
    weights = station.layer.weights
    essential = {name: w.shape for name, w in weights.items() if "bias" not in name and name != "scale"}
    if station.layer.kind.endswith("_norm") and weights:
        return ("norm", int(np.prod(next(iter(weights.values())).shape)))
    return tuple(sorted((essential or {name: w.shape for name, w in weights.items()}).items()))


_LINEAR = frozenset(("dense", "einsum_dense", "conv1d", "conv2d", "depthwise_conv2d", "separable_conv2d"))


def _kinship(left: _Features, right: _Features) -> float:
    related = _kinship_of_kinds(left.kind, right.kind)
    is_possible = left.sizes == right.sizes and left.keeps_sizes is right.keeps_sizes
    return related if related != _STRANGE or is_possible else 0.0


@cache
def _kinship_of_kinds(left: str, right: str) -> float:
    if left == right:
        return _SAME_KIND
    kinds = {left, right}
    if all(kind.endswith("_norm") for kind in kinds) or kinds <= _LINEAR:
        return _RELATED
    return _STRANGE if "other" in kinds and not {"input", "dropout"} & kinds else 0.0
