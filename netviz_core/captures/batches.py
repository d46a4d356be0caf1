"""Data that comes batch by batch, from whatever a framework's users keep it in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..plugins import tensor_to_numpy
from ..words.arrays import AxisArray
from ..words.errors import InputError
from ..words.given import entries_of, is_array, is_model, is_own, shown
from ..words.progress import console
from ..words.structure import is_number

DEFAULT_BATCH_SIZE = 64
_TARGET_NAMES = ("labels", "label", "targets", "target", "y")


def batches_of(data: Any, *, progress: bool = False, what: str = "batches") -> Iterator[Any]:
    """Go once through data, batch by batch.

    Parameters
    ----------
    data : iterable, sequence such as a Keras ``PyDataset``, array, AxisArray, or tuple of arrays
        A tuple is inputs and targets as Keras' ``fit`` takes them, each an array or a mapping, list or tuple of
        arrays. Arrays are cut into batches of `DEFAULT_BATCH_SIZE` along their first axis; anything
        else yields its own batches.
    progress : bool
        Show a bar, if there is a terminal or notebook to show it in.
    what : str
        What the bar says.

    Raises
    ------
    InputError
        If it is no data, or there is none in it.
    """
    batches, total = _opened(data)
    count = 0
    for batch in _with_bar(batches, total, what) if progress else batches:
        count += 1
        yield batch
    if not count:
        raise InputError("the data has no batch; give at least one")


def _opened(data: Any) -> tuple[Iterator[Any], int | None]:
    if isinstance(data, tuple) and any(map(is_array, data)):
        # Targets as people write them down: no batch is a list of plain numbers.
        data = tuple(np.asarray(value) if _is_of_numbers(value) else value for value in data)
    if _is_whole(data):
        return _cut(data)
    if is_array(data):
        batches, count = _cut((data,))
        return (batch for (batch,) in batches), count
    total = None if _is_no_data(data) else _length(data)
    if hasattr(data, "__iter__") and not _is_no_data(data):
        return iter(data), total
    if hasattr(data, "__getitem__") and total is not None:
        return (data[number] for number in range(total)), total
    raise InputError(
        f"{shown(data)} was given as data; give an iterable of batches such as a "
        f"DataLoader, or a tuple of arrays"
    )


def _is_no_data(value: Any) -> bool:
    """Whether this can be gone through, or has places, and is no data all the same: a name, a model, a class."""
    return isinstance(value, (str, bytes, Mapping, type)) or is_own(value) or is_model(value)


def _length(data: Any) -> int | None:
    """How many batches there are, if the data knows: a stream has a length only to say that it has none."""
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None


def _is_whole(data: Any) -> bool:
    """Whether data is all inputs with all targets and weights, as Keras' ``fit`` takes them, rather than batches.

    Inputs and targets of several parts are mappings, lists or tuples of arrays. Several tuples, or mappings with
    the same names, are batches; so are lists of other numbers of samples.
    """
    if not isinstance(data, tuple) or not data or not all(map(_is_of_arrays, data)):
        return False
    if all(map(is_array, data)):
        return True
    names = [set(value) for value in data if isinstance(value, Mapping)]
    return (
        len(data) in (2, 3)
        and not all(isinstance(value, tuple) for value in data)
        and not (len(names) == len(data) and all(name == names[0] for name in names))
        and (any(map(is_array, data)) or len({size for value in data for size in _sizes(value)}) == 1)
    )


def _is_of_numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_number, value))


def _is_of_arrays(value: Any) -> bool:
    inner = list(_inside(value))
    return is_array(value) or (bool(inner) and all(map(_is_of_arrays, inner)))


def _sizes(value: Any) -> Iterator[int]:
    """How many samples each array has."""
    if is_array(value):
        yield size_of(value)
    for inner in () if is_array(value) else _inside(value):
        yield from _sizes(inner)


def _cut(arrays: tuple[Any, ...]) -> tuple[Iterator[tuple[Any, ...]], int]:
    counts = {size for array in arrays for size in _sizes(array)}
    if len(counts) > 1:
        given = "; ".join(map(structure_of, arrays))
        raise InputError(
            f"arrays of {', '.join(map(str, sorted(counts)))} samples were given as data ({given}); they need the "
            f"same number of samples"
        )
    for array in arrays:
        _require_cut(array)
    starts = range(0, counts.pop(), DEFAULT_BATCH_SIZE)
    batches = (tuple(part(array, start, start + DEFAULT_BATCH_SIZE) for array in arrays) for start in starts)
    return batches, len(starts)


def _require_cut(value: Any) -> None:
    """Refuse an array that cannot be cut, such as a sparse one."""
    try:
        part(value, 0, 1)
    except Exception as error:
        raise InputError(
            f"{shown(value)} cannot be cut into batches ({type(error).__name__}); give a dense array, or batches"
        ) from error


def size_of(value: Any) -> int:
    """How many samples a batch has: the length of the first axis of its first array.

    Raises
    ------
    InputError
        If there is no array in it.
    """
    if isinstance(value, AxisArray):
        return value.sizes.get("batch", value.shape[0])
    if is_array(value):
        return int(value.shape[0]) if len(value.shape) else 1
    for inner in _inside(value):
        return size_of(inner)
    raise InputError(f"a batch of type {type(value).__name__} has no array in it")


def part(value: Any, start: int, stop: int) -> Any:
    """Some of the samples of a batch, of whatever structure it is."""
    if isinstance(value, AxisArray):
        return value.select(batch=slice(start, stop)) if "batch" in value.axes else value
    if is_array(value):
        return value[start:stop] if len(value.shape) else value
    return _mapped(value, lambda inner: part(inner, start, stop))


def kept(value: Any) -> Any:
    """A copy, so that nothing else is held in memory for its sake and nothing else can change it."""
    if isinstance(value, AxisArray):
        return AxisArray(value.values.copy(), value.axes)
    if is_array(value):
        copy = getattr(value, "clone", None) or getattr(value, "copy", None)
        return copy() if copy is not None else value  # TensorFlow's tensors never change
    return _mapped(value, kept)


def labelled(batch: Any, number: int) -> tuple[Any, Any]:
    """The inputs and the targets of a batch.

    Raises
    ------
    InputError
        If it has no targets.
    """
    if isinstance(batch, Mapping):
        names = [name for name in _TARGET_NAMES if name in batch]
        if names:
            return {key: value for key, value in batch.items() if key != names[0]}, batch[names[0]]
        given = f"a mapping with {', '.join(map(repr, batch))}"
    elif isinstance(batch, (tuple, list)) and len(batch) >= 2:
        return batch[0], batch[1]
    else:
        given = f"a {type(batch).__name__} alone"
    raise InputError(
        f"batch {number} of the data is {given}; each must be a pair of inputs and targets, or a mapping with "
        f"{' or '.join(map(repr, _TARGET_NAMES[:2]))}"
    )


def inputs_of(batch: Any) -> Any:
    """The inputs of a batch that may have targets and weights beside them, or stand alone in a tuple or list."""
    if isinstance(batch, Mapping):
        return {key: value for key, value in batch.items() if key not in _TARGET_NAMES[:2]}
    return batch[0] if isinstance(batch, (tuple, list)) and batch else batch


@contextmanager
def taken_as_pair(x: Any) -> Iterator[None]:
    """Where two models each get an input, say of a tuple of two what it is taken for, if a model does not take it."""
    try:
        yield
    except (InputError, TypeError) as error:
        is_of_input = isinstance(error, InputError) or "required positional argument" in str(error)
        if not (is_of_input and isinstance(x, tuple) and len(x) == 2) or "pair" in str(error):
            raise
        raise InputError(
            f"{error}; a tuple of two is here a pair, (input of a, input of b): give the several inputs of a model "
            f"as a list or a dict, or as the pair (x, x)"
        ) from error


def structure_of(value: Any) -> str:
    """What a batch consists of, whatever the number of its samples, in words."""
    if is_array(value):
        sizes = ", ".join(map(str, value.shape[1:]))
        return f"an array of {len(value.shape)} axes" + (f" ({sizes} for each sample)" if sizes else "")
    if isinstance(value, Mapping):
        return f"a mapping of {', '.join(f'{key!r}: {structure_of(part)}' for key, part in value.items())}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {', '.join(map(structure_of, value)) or 'nothing'}"
    return f"a {type(value).__name__}"


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, (tuple, list)):
        yield from value


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: change(inner) for key, inner in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(change, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(change, value))
    return value


def _with_bar(batches: Iterator[Any], total: int | None, what: str) -> Iterator[Any]:
    from rich.progress import track  # here, as rich is heavy

    where, is_seen = console()
    yield from track(batches, what, total, console=where, transient=True, disable=not is_seen)


def as_numbers(values: Any) -> np.ndarray[Any, Any]:
    """Targets or losses as an array of numbers.

    Raises
    ------
    InputError
        If they are none.
    """
    array = tensor_to_numpy(values) if is_array(values) else np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise InputError(f"targets of {entries_of(array.dtype)} were given; give numbers")
    return array
