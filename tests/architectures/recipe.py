"""What an architecture is to the tests: a name, how it is made, and a batch of inputs that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Architecture(NamedTuple):
    """`build` makes the model in evaluation mode; `inputs` makes a batch of the given size, the samples on axis 0.

    Of a mapping or a tuple of inputs, each has the samples on axis 0.
    """

    name: str
    build: Callable[[], Any]
    inputs: Callable[[int], Any]
