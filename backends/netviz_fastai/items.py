"""What people have at hand, a path, an image, a row or a text, put through a Learner's own transforms."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from fastai.data.load import DataLoader
from fastai.learner import Learner
from PIL.Image import Image

from netviz_core.backend_api import InputError

from .data import inputs_of, loaders_of
from .kinds import is_language_model, is_tabular, reading_loader
from .untouched import untouched


def through_transforms(learner: Learner, inputs: Any) -> Any:
    """Make a batch of items; whatever is no item is returned as it is.

    Parameters
    ----------
    learner : Learner
    inputs : object
        An item is a path or string, an image of Pillow, or a row (a ``pandas.Series`` or a mapping from
        column to value); several are a list or a ``pandas.DataFrame``. Texts come out in the order in which
        the Learner batches them, the longest first.

    Raises
    ------
    InputError
        If the items are none that this Learner takes.
    """
    if isinstance(inputs, pd.DataFrame):
        return _batch(learner, [row for _, row in inputs.iterrows()])
    if _is_item(inputs):
        return _batch(learner, [inputs])
    if isinstance(inputs, list) and inputs and all(map(_is_item, inputs)):
        return _batch(learner, inputs)
    return inputs


def _is_item(value: object) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(getattr(part, "shape", ()) == () for part in value.values())
    return isinstance(value, (str, bytes, os.PathLike, Image, pd.Series))


def _batch(learner: Learner, items: Sequence[Any]) -> Any:
    loaders_of(learner)
    if not isinstance(reading_loader(learner), DataLoader):
        raise InputError(
            "this Learner's loaders are PyTorch's own and have no transforms for new items; give a batch of tensors"
        )
    with untouched(learner.dls):
        if is_language_model(learner):
            return inputs_of(learner, (_sentence(learner, items),))
        loader = _test_loader(learner, items, bs=len(items))
        for batch in list(loader):
            return inputs_of(learner, batch)
    raise InputError(f"this Learner's transforms left nothing of {_described(items)}; give other items")


def _sentence(learner: Learner, items: Sequence[Any]) -> Any:
    """A text whole, where the loader would cut it up."""
    if len(items) > 1:
        raise InputError(
            f"{len(items)} texts were given; a language model goes on with one, give them one by one"
        )
    return _test_loader(learner, items, bs=1).items[0][None]


def _test_loader(learner: Learner, items: Sequence[Any], **options: Any) -> Any:
    try:
        return learner.dls.test_dl(_as_fastai_takes_them(learner, items), num_workers=0, **options)
    except (AssertionError, KeyError, NotImplementedError) as error:
        raise InputError(
            f"{_described(items)} cannot go through this Learner's transforms: {error}"
        ) from error


def _as_fastai_takes_them(learner: Learner, items: Sequence[Any]) -> Any:
    if not is_tabular(learner):
        return [_as_fastai_takes_it(learner, item) for item in items]
    if not all(isinstance(item, (pd.Series, Mapping)) for item in items):
        raise InputError(
            f"{_described(items)} was given to a Learner of tables; give a row: a pandas.Series, or a "
            f"mapping from column to value"
        )
    return pd.DataFrame([dict(item) for item in items])


def _as_fastai_takes_it(learner: Learner, item: Any) -> Any:
    if isinstance(item, Mapping):
        return pd.Series(item)
    if isinstance(item, Image):
        # fastai makes an image one of its own in place, and brings only what it reads from files to its mode.
        return item.convert(_image_mode(learner)) if _image_mode(learner) else item.copy()
    return item


def _image_mode(learner: Learner) -> str | None:
    """The mode to which the Learner brings the images that it reads, such as ``RGB``."""
    parts = getattr(reading_loader(learner).dataset, "tls", ())
    types = [kind for part in parts[:1] for kind in part.types if isinstance(kind, type)]
    return next((kind._open_args.get("mode") for kind in types if hasattr(kind, "_open_args")), None)


def _described(items: Sequence[Any]) -> str:
    first = items[0]
    shown = repr(first) if isinstance(first, (str, os.PathLike)) else f"a {type(first).__name__}"
    return shown if len(items) == 1 else f"a list of {len(items)} items, the first {shown},"
