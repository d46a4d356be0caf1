"""Which layers of two models see the same samples as alike: linear CKA, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from ..captures.batches import batches_of, inputs_of, kept
from ..captures.capture import Capture, capture
from ..captures.saved import opened
from ..models.network import Network
from ..views.base import View
from ..words.arrays import Activation, count_nonfinite
from ..words.errors import InputError, LayerNotFoundError, nearest
from ..words.protocols import LayerSelection

Array = np.ndarray[Any, Any]

LEAST_SAMPLES = 4
"""The estimator divides by ``n - 3``."""

_BLOCK = 2**21
"""How many features, times samples, are brought to float64 at once."""

_NO_STRUCTURE = 1e-12
"""The part of a Gram matrix, beside its trace, below which there is only rounding."""


@dataclass(frozen=True)
class LayerRemark:
    """Why a layer has no place in the matrix, or no number there.

    Parameters
    ----------
    model : str
        ``"a"`` or ``"b"``.
    key : str
        The layer's key in a capture; its path, if it was not captured.
    reason : str
    """

    model: str
    key: str
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class SimilarityMatrix(View):
    """How alike the layers of two models are; made by `similarity`.

    Parameters
    ----------
    title : str
    values : numpy.ndarray
        ``(keys of a, keys of b)``, float64: 1 for representations that are the same but for a rotation and a
        scale, around 0 for independent ones. The estimate is unbiased, and so may lie a little below
        zero. NaN where it is not defined.
    keys_a, keys_b : tuple of str
        The layers of each, by their keys in a capture, in the order in which they returned.
    sample_count : int
        How many samples it was computed from.
    unused_sample_count : int
        How many were in a last batch that was too small to be used.
    left_out : tuple of LayerRemark
        What has no row or column, and why.
    undefined : tuple of LayerRemark
        Whose values are NaN, and why.
    """

    title: str
    values: Array
    keys_a: tuple[str, ...]
    keys_b: tuple[str, ...]
    sample_count: int
    unused_sample_count: int
    left_out: tuple[LayerRemark, ...]
    undefined: tuple[LayerRemark, ...]

    def __str__(self) -> str:
        lines = [self.title]
        for key, row in zip(self.keys_a, self.values, strict=True):
            if np.isfinite(row).any():
                best = int(np.nanargmax(row))
                lines.append(f"{key or 'output'}: most like {self.keys_b[best] or 'output'}, {row[best]:.3f}")
        if self.unused_sample_count:
            lines.append(f"{_samples(self.unused_sample_count)} in a last batch: too few to be used")
        for remarks, what in ((self.undefined, "not defined"), (self.left_out, "left out")):
            lines += [f"{one.key or 'output'} of {one.model}: {what}: {one.reason}" for one in remarks]
        return "\n".join(lines)


def similarity(
    a: Any,
    b: Any,
    x: Any = None,
    *,
    data: Any = None,
    layers: LayerSelection | tuple[LayerSelection, LayerSelection] | None = None,
    progress: bool = True,
) -> SimilarityMatrix:
    """Compare what all layers of two models have learnt, also where the models were trained apart.

    Parameters
    ----------
    a, b : native model, fastai Learner, path, Network, or Capture
        Of any frameworks, as deep and wide as they may be. A path is that of a model, or of a saved capture.
    x : array, native tensor, AxisArray, or a list or dict of them, optional
        One batch for both; a tuple of two is one for a and one for b, of the same samples. By default one of
        the model's own data, where it comes with some. None for two captures, which must be of the same samples.
    data : iterable of batches, array, or AxisArray, optional
        In the place of `x`: a whole data set, such as a DataLoader. Of pairs, and of mappings with ``labels``, the
        inputs are taken. A tuple of two is one data set for a and one for b. The last batch is not used
        if it has fewer than four samples (see ``unused_sample_count``); any other such batch raises.
    layers : str, list of str, or callable, optional
        A path, a glob, a list of them, or a function of a `Layer`; a tuple of two is one for a and one for b.
        By default all, but for those that return what one within them returns, as most containers do.
    progress : bool
        Show a progress bar over `data`, where there is a terminal or notebook.

    Returns
    -------
    SimilarityMatrix

    Raises
    ------
    InputError
        If there are fewer than four samples, the two did not get as many, or batches differ in
        the layers that they run.
    LayerNotFoundError
        If `layers` matches nothing.

    Notes
    -----
    With centred features, linear CKA is HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) of the Gram matrices
    ``K = X Xᵀ`` and ``L = Y Yᵀ`` (Kornblith, Norouzi, Lee and Hinton, "Similarity of Neural Network
    Representations Revisited", 2019). Each of the three HSIC is the mean over all batches of the estimator ::

        HSIC₁(K, L) = (tr(K̃ L̃) + 1ᵀK̃1 1ᵀL̃1 / ((n-1)(n-2)) - 2/(n-2) 1ᵀK̃L̃1) / (n (n-3))

    where K̃ and L̃ are K and L with a diagonal of zeros (Song, Smola, Gretton, Bedo and Borgwardt, "Feature Selection
    via Dependence Maximization", 2012, eq. 5; Nguyen, Raghu and Kornblith, "Do Wide and Deep Networks Learn
    the Same Things?", 2021, eqs. 2-4). It is unbiased, whatever the number of features: the biased one of many
    features and few samples is near 1 even for noise. Batches of unequal size count by their samples.

    Features are all axes but ``batch``. Every layer takes a Gram matrix of n × n numbers for a batch of n samples:
    n² times its features multiplications, and n² for each pair of layers. Memory does not grow with the data.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> x = np.random.default_rng(0).random((64, 1, 8, 8))
    >>> found = similarity(example_model(0), example_model(1), x)
    >>> found.keys_a, found.values.shape
    (('conv1', 'dense1'), (2, 2))
    >>> bool(found.values[0, 0] > found.values[0, 1])
    True
    """
    chosen_a, chosen_b = _pair(layers)
    side_a, side_b = _Side("a", a, chosen_a), _Side("b", b, chosen_b)
    is_same = a is b and chosen_a is chosen_b
    sums = _Sums()
    too_few = 0
    for number, (given_a, given_b) in enumerate(_batches(side_a, side_b, x, data, progress)):
        if too_few:
            raise InputError(
                f"batch {number - 1} has {_samples(too_few)}; each but the last needs at least {LEAST_SAMPLES}"
            )
        found_a = side_a.look(given_a if is_same else kept(given_a))  # a model may write to what it is given
        found_b = found_a if is_same and given_a is given_b else side_b.look(given_b)
        count = _agreed(side_a.samples(found_a), side_b.samples(found_b))
        if count < LEAST_SAMPLES:
            too_few = count
            continue
        sums.add(side_a.rows(found_a, count), side_b.rows(found_b, count), count)
    if not sums.samples:
        raise InputError(f"given: {_samples(too_few)}; linear CKA needs at least {LEAST_SAMPLES}")
    side_a.note_without_structure(sums.own_a)
    side_b.note_without_structure(sums.own_b)
    return SimilarityMatrix(
        title=f"linear CKA · {len(side_a.keys)} × {len(side_b.keys)} layers, {_samples(sums.samples)}",
        values=sums.values(),
        keys_a=tuple(side_a.keys),
        keys_b=tuple(side_b.keys),
        sample_count=sums.samples,
        unused_sample_count=too_few,
        left_out=(*side_a.remarks(side_a.left_out), *side_b.remarks(side_b.left_out)),
        undefined=(*side_a.remarks(side_a.undefined), *side_b.remarks(side_b.undefined)),
    )


def _pair(given: Any) -> tuple[Any, Any]:
    """What is for a and what is for b: the same, unless it is a tuple of two."""
    if isinstance(given, tuple) and len(given) == 2 and not hasattr(given, "_fields"):
        return given
    return given, given


def _samples(count: int) -> str:
    return f"{count:,} sample{'s' if count != 1 else ''}"


def _batches(a: _Side, b: _Side, x: Any, data: Any, progress: bool) -> Iterator[tuple[Any, Any]]:
    """The input of each, batch by batch."""
    networks = [side.source for side in (a, b) if isinstance(side.source, Network)]
    if x is not None and data is not None:
        raise InputError("both x and data were given; give x for one batch, or data for many")
    if not networks and (x is not None or data is not None):
        raise InputError("captures hold what their layers returned; leave x and data out")
    if data is None:
        yield _pair(networks[0].input_or_example(x)) if networks else (None, None)
        return
    if len(networks) == 1:
        raise InputError("a capture is of one batch; give that as x, in the place of data")
    data_a, data_b = _pair(data)
    if data_a is data_b:
        for batch in batches_of(data_a, progress=progress, what="similarity"):
            inputs = inputs_of(batch)
            yield inputs, inputs
        return
    missing = object()
    both = zip_longest(
        batches_of(data_a, progress=progress, what="similarity"), batches_of(data_b), fillvalue=missing
    )
    for number, (batch_a, batch_b) in enumerate(both):
        if batch_a is missing or batch_b is missing:
            short = "a" if batch_a is missing else "b"
            raise InputError(f"the data for {short} ended after {number} batches; both need the same samples")
        yield inputs_of(batch_a), inputs_of(batch_b)


def _agreed(count_a: int, count_b: int) -> int:
    if count_a != count_b:
        raise InputError(
            f"a returned values for {_samples(count_a)} and b for {count_b:,}; both need the same samples"
        )
    return count_a


class _Seen(NamedTuple):
    """What is kept of one value: how like one another its samples are, and nothing of the features."""

    path: str
    samples: int
    likeness: Array | None
    """The centred Gram matrix above its diagonal; None if samples cannot be told apart."""
    trouble: str = ""
    """Why it cannot be in the matrix, or has no number in it."""
    varies: bool = True


class _Side:
    """One of the two: where its values come from, and what has become of each so far."""

    def __init__(self, name: str, given: Any, layers: LayerSelection | None) -> None:
        self.name = name
        self.source = opened(given)
        self.keys: list[str] = []
        self.left_out: dict[str, str] = {}
        self.undefined: dict[str, str] = {}
        self._varying: set[str] = set()
        self._scales: dict[str, float] = {}
        self._layers: LayerSelection = "*" if layers is None else layers
        self._is_every_layer = layers is None

    def look(self, inputs: Any) -> Mapping[str, _Seen]:
        """What each layer returned, by its key."""
        if isinstance(self.source, Capture):
            slots = _chosen(self.source, self._layers)
            found = {key: _seen(activation) for key, activation in slots}
            coverage = self.source.coverage if self._is_every_layer else {}
        else:
            seen: list[_Seen] = []

            def note(activation: Activation) -> float:
                seen.append(_seen(activation))
                return len(seen) - 1

            captured = capture(self.source, inputs, self._layers, reduce=note)
            found = {key: seen[int(slot.get().values)] for key, slot in captured.slots().items()}
            coverage = captured.coverage
        for path, entry in coverage.items():
            if entry.status != "captured":
                self.left_out.setdefault(path, entry.reason)
        return found

    def samples(self, found: Mapping[str, _Seen]) -> int:
        """How many samples there were: as many as most values have."""
        counted = Counter(seen.samples for seen in found.values() if seen.likeness is not None)
        if not counted:
            raise InputError(
                f"no layer of {self.name} returned a value with an axis 'batch'; choose others with layers="
            )
        return counted.most_common(1)[0][0]

    def rows(self, found: Mapping[str, _Seen], count: int) -> Array:
        """The likeness of samples to one another in each layer: ``(keys, pairs of samples)``."""
        if not self.keys:
            self._choose(found, count)
        likenesses = []
        for key in self.keys:
            seen = found.get(key)
            if seen is None or seen.likeness is None or seen.samples != count:
                raise InputError(
                    f"layer {key!r} of {self.name} did not return the same kind of value in every batch; choose "
                    f"others with layers="
                )
            if seen.trouble:
                self.undefined.setdefault(key, seen.trouble)
            if seen.varies:
                self._varying.add(key)
            # Squares of squares would not hold what float64 holds.
            scale = self._scales.setdefault(key, np.abs(seen.likeness).max() or 1.0)
            likenesses.append(seen.likeness / scale)
        return np.stack(likenesses)

    def _choose(self, found: Mapping[str, _Seen], count: int) -> None:
        """Decide by the first batch what gets a place."""
        for key, seen in found.items():
            if seen.likeness is None:
                self.left_out[key] = seen.trouble
            elif seen.samples != count:
                self.left_out[key] = f"its axis 'batch' has {seen.samples:,} entries, for {_samples(count)}"
            elif same := self._same_within(seen, found):
                self.left_out[key] = f"it returns what {same!r} returns"
            else:
                self.keys.append(key)
        self._layers = list(dict.fromkeys(found[key].path for key in self.keys))

    def _same_within(self, seen: _Seen, found: Mapping[str, _Seen]) -> str:
        """A layer within another that returned the same, of those that were not asked for by name."""
        if not self._is_every_layer or seen.trouble:
            return ""
        return next(
            (
                key
                for key, other in found.items()
                if _is_within(other.path, seen.path) and _are_equal(other.likeness, seen.likeness)
            ),
            "",
        )

    def note_without_structure(self, own: Array) -> None:
        """Say why layers have no number whose samples were all equally unlike one another."""
        for key, value in zip(self.keys, own, strict=True):
            if value == 0:
                self.undefined.setdefault(
                    key,
                    "no two samples are more alike in it than any other two"
                    if key in self._varying
                    else "it returned the same for every sample",
                )

    def remarks(self, reasons: Mapping[str, str]) -> Iterator[LayerRemark]:
        return (LayerRemark(self.name, key, reason) for key, reason in reasons.items())


def _chosen(captured: Capture, layers: LayerSelection) -> Iterator[tuple[str, Activation]]:
    """The values of a capture that were asked for, by path, key or glob."""
    slots = captured.slots()
    if callable(layers):
        raise InputError("a capture has no layers for a function to choose from; give paths or globs")
    patterns = [layers] if isinstance(layers, str) else layers
    wanted = set()
    for pattern in patterns:
        fitting = {
            key
            for key, slot in slots.items()
            if pattern in (key, slot.path) or fnmatchcase(key, pattern) or fnmatchcase(slot.path, pattern)
        }
        if not fitting:
            raise LayerNotFoundError(
                f"nothing was captured under {pattern!r}; {nearest(pattern, slots) or 'the capture is empty'}"
            )
        wanted |= fitting
    return ((key, slot.get()) for key, slot in slots.items() if key in wanted)


def _is_within(path: str, container: str) -> bool:
    return path != container and (not container or path.startswith((f"{container}.", f"{container}/")))


def _are_equal(one: Array | None, other: Array | None) -> bool:
    """Whether likenesses are the same to rounding."""
    if one is None or other is None or one.shape != other.shape:
        return False
    largest = np.abs(other).max(initial=0.0)
    return bool(largest > 0 and np.abs(one - other).max() <= 1e-9 * largest)


def _seen(activation: Activation) -> _Seen:
    if "batch" not in activation.axes:
        reason = f"its axes are {', '.join(activation.axes) or 'none'}, and not one of them is 'batch'"
        return _Seen(activation.path, 0, None, reason)
    values = np.moveaxis(activation.values, activation.axes.index("batch"), 0)
    samples = len(values)
    features = values.reshape(samples, -1 if samples else 0)
    if np.iscomplexobj(features):
        features = np.concatenate((features.real, features.imag), axis=1)
    gram, varies = _gram(features)
    size = np.trace(gram)
    if varies and not 0 < size < np.inf:
        nothing = np.full(samples * (samples - 1) // 2, np.nan)
        return _Seen(activation.path, samples, nothing, _why_no_size(features))
    centred = _centred(gram) if varies else np.zeros_like(gram)
    return _Seen(activation.path, samples, centred[np.triu_indices(samples, 1)], varies=varies)


def _why_no_size(features: Array) -> str:
    nan_count, inf_count = count_nonfinite(features)
    if nan_count or inf_count:
        return f"it returned {nan_count:,} NaN and {inf_count:,} infinite values"
    return "it returned values too large or too small to be squared"


def _gram(features: Array) -> tuple[Array, bool]:
    """The products of all samples with one another, seen from the first one; and whether any differ from it."""
    samples, count = features.shape
    gram = np.zeros((samples, samples))
    varies = False
    rounding = 4 * np.finfo(features.dtype if features.dtype.kind == "f" else np.float64).eps
    step = max(_BLOCK // max(samples, 1), 1)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for start in range(0, count, step):
            block = features[:, start : start + step].astype(np.float64)
            first = block[:1].copy()
            block -= first  # centring undoes it; large means would else cost digits
            varies = varies or not (np.abs(block) <= rounding * np.abs(first)).all()
            gram += block @ block.T
    return gram, varies


def _centred(gram: Array) -> Array:
    """U-centring: of two such matrices the sum of products off the diagonal is ``n (n - 3) HSIC₁``.

    It is the form of Székely and Rizzo, "Partial distance correlation with methods for dissimilarities" (2014).
    """
    count = len(gram)
    if count < LEAST_SAMPLES:
        return np.zeros_like(gram)
    size = np.trace(gram)
    off_diagonal = gram * (1 - np.eye(count))
    means = off_diagonal.sum(axis=1) / (count - 2)
    centred: Array = off_diagonal - means - means[:, np.newaxis] + means.sum() / (count - 1)
    is_only_rounding = np.abs(centred).max() <= _NO_STRUCTURE * size
    return np.zeros_like(gram) if is_only_rounding else centred


class _Sums:
    """HSIC of all pairs of layers, summed over batches."""

    def __init__(self) -> None:
        self.samples = 0
        self._cross: Any = 0.0
        self.own_a: Any = 0.0
        self.own_b: Any = 0.0

    def add(self, a: Array, b: Array, count: int) -> None:
        # Of HSIC₁'s 1 / (n (n - 3)), n goes against the weight that a batch of n samples has.
        self.samples += count
        self._cross = self._cross + a @ b.T / (count - 3)
        self.own_a = self.own_a + np.einsum("kp,kp->k", a, a) / (count - 3)
        self.own_b = self.own_b + np.einsum("kp,kp->k", b, b) / (count - 3)

    def values(self) -> Array:
        scale = np.sqrt(self.own_a)[:, np.newaxis] * np.sqrt(self.own_b)
        cka: Array = np.divide(self._cross, scale, out=np.full(scale.shape, np.nan), where=scale != 0)
        return cka
