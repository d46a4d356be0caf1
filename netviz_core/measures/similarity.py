"""Which layers of two models see the same samples as alike: linear CKA, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from ..captures.batches import batches_of, inputs_of, kept, taken_as_pair
from ..models.network import Network
from ..words.errors import InputError
from ..words.protocols import LayerSelection
from .likeness import LEAST_SAMPLES, Sums
from .similarity_sides import Side
from .similarity_view import SimilarityMatrix, said_samples


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
    >>> import numpy as np
    >>> from netviz_core.testing import example_model
    >>> x = np.random.default_rng(0).random((64, 1, 8, 8))
    >>> found = similarity(example_model(0), example_model(1), x)
    >>> found.keys_a, found.values.shape
    (('conv1', 'dense1'), (2, 2))
    >>> bool(found.values[0, 0] > found.values[0, 1])
    True
    """
    chosen_a, chosen_b = _pair(layers)
    side_a, side_b = Side("a", a, chosen_a), Side("b", b, chosen_b)
    is_same = a is b and chosen_a is chosen_b
    sums = Sums()
    too_few = 0
    for number, (given_a, given_b) in enumerate(_batches(side_a, side_b, x, data, progress)):
        if too_few:
            raise InputError(
                f"batch {number - 1} has {said_samples(too_few)}; each but the last needs at least {LEAST_SAMPLES}"
            )
        with taken_as_pair(x):
            found_a = side_a.look(
                given_a if is_same else kept(given_a)
            )  # a model may write to what it is given
            found_b = found_a if is_same and given_a is given_b else side_b.look(given_b)
        count = _agreed(side_a.samples(found_a), side_b.samples(found_b))
        if count < LEAST_SAMPLES:
            too_few = count
            continue
        sums.add(side_a.rows(found_a, count), side_b.rows(found_b, count), count)
    if not sums.samples:
        raise InputError(f"given: {said_samples(too_few)}; linear CKA needs at least {LEAST_SAMPLES}")
    side_a.note_without_structure(sums.own_a)
    side_b.note_without_structure(sums.own_b)
    return SimilarityMatrix(
        title=f"linear CKA · {len(side_a.keys)} × {len(side_b.keys)} layers, {said_samples(sums.samples)}",
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


def _batches(a: Side, b: Side, x: Any, data: Any, progress: bool) -> Iterator[tuple[Any, Any]]:
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
            f"a returned values for {said_samples(count_a)} and b for {count_b:,}; both need the same samples"
        )
    return count_a
