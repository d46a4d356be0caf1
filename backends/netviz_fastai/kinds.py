"""What a Learner is for, told without importing the parts of fastai that it does not use."""

from __future__ import annotations

import sys
from typing import Any

from fastai.learner import Learner


def reading_loader(learner: Learner) -> Any:
    """The loader whose transforms a new item goes through: that of validation; None if there is none."""
    return next(reversed(list(getattr(learner.dls, "loaders", ()))[:2]), None)


def is_tabular(learner: Learner) -> bool:
    """Whether the Learner's data are the rows of a table."""
    dataset = getattr(reading_loader(learner), "dataset", None)
    return isinstance(dataset, loaded_class("fastai.tabular.core", "Tabular"))


def is_language_model(learner: Learner) -> bool:
    """Whether the Learner learns to go on with a text."""
    return isinstance(reading_loader(learner), loaded_class("fastai.text.data", "LMDataLoader"))


def loaded_class(module: str, name: str) -> tuple[type[Any], ...]:
    """A class of a part of fastai, if that part is imported: else nothing can be of it."""
    return (getattr(sys.modules[module], name),) if module in sys.modules else ()
