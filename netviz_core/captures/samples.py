"""To which sample of the input each entry of what a layer returned belongs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..models.network import Network
from ..words.arrays import Activation, AxisArray
from ..words.errors import InputError, as_integer
from ..words.supports_flow import Coordinate, Origin, OriginOf, Source
from .batches import size_of

Array = np.ndarray[Any, Any]

_ROUNDING = 0.01
_NOWHERE, _SEVERAL = -2, -1


def count_of(x: Any, sources: Mapping[str, Source]) -> int:
    """How many samples an input has; a list of pictures of any size has as many as pictures."""
    alone = [name for name, source in sources.items() if source.is_input and is_one_sample(source)]
    if alone:
        return len(alone)
    # What was followed is what the model was given: `x` may be a path, of which that was made.
    shapes = [source.shape for source in sources.values() if source.is_input and source.shape]
    return shapes[0][0] if shapes else size_of(x)


def is_one_sample(source: Source) -> bool:
    """Whether an input has no axis of samples: its first axis is known to be another."""
    return bool(source.axes) and source.axes[0] not in (None, "batch")


def samples_at(
    origin: Origin, where: tuple[Any, ...], sources: Mapping[str, Source], source: str | None = None
) -> Array:
    """The sample of each element of a tensor at `where`, one behind the other; -1 where it may be of several.

    Of an element that lies in `source` it is the sample of that; else that on which all inputs agree.
    """
    inputs = [name for name, known in sources.items() if known.is_input]
    keys = [key for key in origin if key.source in inputs and _is_of_samples(key, sources[key.source])]
    own = [key for key in keys if key.source == source]
    found: Array | None = None
    for key in own or keys:
        low, high = (end[where].reshape(-1) for end in origin[key])
        if is_one_sample(sources[key.source]):
            here = np.where(low < high, inputs.index(key.source), _NOWHERE)
        else:
            with np.errstate(invalid="ignore"):
                here = np.where(
                    high - low < 1 + _ROUNDING, np.where(np.isfinite(low), low, 0), _SEVERAL
                ).astype(int)
            here = np.where(low < high, here, _NOWHERE)
        if found is None:
            found = here
        else:
            agrees = (here == _NOWHERE) | (here == found)
            found = np.where(found == _NOWHERE, here, np.where(agrees, found, _SEVERAL))
    return np.array([], int) if found is None else np.where(found == _NOWHERE, _SEVERAL, found)


def _is_of_samples(key: Coordinate, source: Source) -> bool:
    return key.axis == (source.axes.index("batch") if "batch" in source.axes else 0)


def samples_along(told: OriginOf, sources: Mapping[str, Source], axis: int = 0) -> list[int | None]:
    """The sample to which each entry of a tensor along an axis belongs; None where it may be of several."""
    samples = samples_at(told.origin, (slice(None),) * len(told.shape), sources)
    if not samples.size:
        return [None] * told.shape[axis]
    by_entry = np.moveaxis(samples.reshape(told.shape), axis, 0).reshape(told.shape[axis], -1)
    is_one = (by_entry == by_entry[:, :1]).all(axis=1) & (by_entry[:, 0] >= 0)
    return [int(sample) if known else None for sample, known in zip(by_entry[:, 0], is_one, strict=True)]


def of_sample(network: Network, x: Any, activation: Activation, sample: int) -> AxisArray:
    """What a layer returned of one sample; several entries of one sample stand along an axis ``entry``.

    Raises
    ------
    InputError
        If there is no such sample, or it is not known which entries are its own.
    """
    told: list[OriginOf] = []
    sources = (
        network.adapter.origins(network.native, x, told.append) if hasattr(network.adapter, "origins") else {}
    )
    count = count_of(x, sources)
    sample = _existing(sample, count)
    key = activation.path, activation.call, activation.leaf
    seen = next((one for one in told if (one.path, one.call, one.leaf) == key and not one.is_given), None)
    known: Sequence[int | None] = [None]
    if seen is not None and "batch" in seen.axes:
        known = samples_along(seen, sources, seen.axes.index("batch"))
    if None not in known:
        entries = [entry for entry, own in enumerate(known) if own == sample]
    else:
        require_entries(activation, count)
        entries = [sample]
    return _taken(activation, entries)


def require_entries(activation: Activation, count: int | None) -> None:
    """Refuse what has another number of entries than there are samples.

    Raises
    ------
    InputError
    """
    entries = activation.shape[_batch_of(activation)] if activation.axes else count
    if count is not None and entries != count:
        raise InputError(
            f"what layer {activation.path!r} returned has {entries} entries for {count} samples, and it is not known "
            f"which of them are whose; look at a layer before they are folded into the batch, or take an entry of a "
            f"capture by hand: captured[{activation.path!r}].select(batch=0)"
        )


def _existing(sample: int, count: int) -> int:
    if not -count <= as_integer(sample, "sample") < count:
        raise InputError(f"sample {sample} lies outside the batch, which has {count} entries")
    return sample % count


def _batch_of(array: AxisArray) -> int:
    """Where the samples stand: the axis called so, or the first, if that was found not to be theirs alone."""
    return array.axes.index("batch") if "batch" in array.axes else 0


def _taken(array: AxisArray, entries: Sequence[int]) -> AxisArray:
    position = _batch_of(array)
    batch = array.axes[position]
    if len(entries) == 1:
        return array.select(**{batch: entries[0]})
    axes = tuple("entry" if axis == batch else axis for axis in array.axes)
    return AxisArray(array.values.take(list(entries), position), axes)
