"""Shows a Learner's inputs to people: images in their real colours, texts and rows in words."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from fastai.data.core import Datasets
from fastai.data.transforms import IntToFloatTensor
from fastai.learner import Learner
from fastai.torch_core import TensorImage
from fastcore.basics import defaults

from netviz_core.backend_api import AxisArray

from .kinds import is_language_model, is_tabular, loaded_class, reading_loader
from .tensors import as_tensor, plain
from .untouched import untouched

_WIDTH = 160
_NO_WORDS = frozenset({"xxfake"})


def images(learner: Learner, inputs: Any) -> AxisArray | None:
    """The batch of images among the inputs, in [0, 1], with the Learner's normalisation undone."""
    found = _input_of_type(learner, inputs, (TensorImage,))
    if found is None or found.ndim != 4:
        return None
    axes = ("batch", "channel", "y", "x")
    values: Any = TensorImage(found.float())
    with untouched(learner.dls):
        for transform in reversed(reading_loader(learner).after_batch.fs):
            if isinstance(transform, IntToFloatTensor):
                shown = plain(values) * (transform.div / 255)
                return AxisArray(shown.clamp(0, 1).cpu().numpy(), axes)
            values = transform.decode(values, split_idx=1)
    return AxisArray(plain(values).cpu().numpy(), axes)


def describe(learner: Learner, inputs: Any) -> Sequence[str] | None:
    """One line for each text or row; None for anything else."""
    if is_tabular(learner):
        return _rows(learner, inputs)
    texts = _input_of_type(learner, inputs, loaded_class("fastai.text.data", "TensorText"))
    words = _words(learner)
    if texts is None or words is None or texts.ndim != 2:
        return None
    return [_sentence([words[index] for index in text if index < len(words)]) for text in texts.tolist()]


def class_names(learner: Learner) -> Sequence[str] | None:
    """The vocabulary of the targets, where they are classes."""
    loader = reading_loader(learner)
    if loader is None:
        return None
    if "vocab" in vars(learner.dls):
        vocabulary = learner.dls.vocab
    elif isinstance(loader.dataset, Datasets):
        parts = loader.dataset.tls
        targets = parts if is_language_model(learner) else parts[loader.dataset.n_inp :]
        vocabulary = next((part.vocab for part in targets if hasattr(part, "vocab")), None)
        if vocabulary is None:
            vocabulary = getattr(loader.after_item, "vocab", None)  # of the classes of a mask
    else:
        vocabulary = getattr(learner.dls, "vocab", None)
    return None if vocabulary is None else [str(name) for name in vocabulary]


def _input_of_type(learner: Learner, inputs: Any, types: tuple[type, ...]) -> Any:
    """The first input that is of one of fastai's types, by itself or because the Learner's own data are."""
    parts = inputs if isinstance(inputs, tuple) else (inputs,)
    known = _types(learner)
    for position, part in enumerate(parts):
        own = known[position] if position < len(known) else None
        if isinstance(part, types) or (isinstance(own, type) and issubclass(own, types)):
            return as_tensor(part)
    return None


def _types(learner: Learner) -> Sequence[Any]:
    """The types of what a batch of the Learner's own data is made of, as far as its loader knows."""
    found = getattr(reading_loader(learner), "_types", None)
    return next(iter(found.values())) if isinstance(found, dict) and found else [found]


def _words(learner: Learner) -> Sequence[str] | None:
    parts = getattr(getattr(reading_loader(learner), "dataset", None), "tls", ())
    return next((part.vocab for part in parts[:1] if hasattr(part, "vocab")), None)


def _sentence(tokens: Sequence[str]) -> str:
    hidden = _NO_WORDS.union(getattr(defaults, "text_spec_tok", ()))
    return textwrap.shorten(
        " ".join(token for token in tokens if token not in hidden), _WIDTH, placeholder=" …"
    )


def _rows(learner: Learner, inputs: Any) -> Sequence[str] | None:
    """The columns of rows, with codes and normalised numbers turned back."""
    parts = [as_tensor(part) for part in (inputs if isinstance(inputs, tuple) else (inputs,))]
    readers = [
        transform
        for transform in reading_loader(learner).after_batch.fs
        if isinstance(transform, loaded_class("fastai.tabular.core", "ReadTabBatch"))
    ]
    if not readers or any(part is None or part.ndim != 2 for part in parts):
        return None
    with untouched(learner.dls):
        table = readers[0].decodes([part.cpu() for part in parts]).decode()
        frame = table.items[list(table.x_names)]
    return [
        ", ".join(f"{column}={_value(value)}" for column, value in row.items()) for _, row in frame.iterrows()
    ]


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
