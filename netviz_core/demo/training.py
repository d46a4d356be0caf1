"""The same small network, trained on handwritten digits by every backend that takes part."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..captures.capture import capture
from ..plugins import get_backend, list_backends
from ..words.arrays import images
from ..words.errors import BackendConflictError, BackendLoadError, NetvizError

_HELD_OUT = slice(None, None, 6)
"""Every sixth digit is kept from the training, so that all writers are in both parts."""

Report = Callable[[int, int, float], None]
"""Told the step, the number of steps and the loss after each step of a training."""


class Picture(NamedTuple):
    """One image ``(y, x)``, in [0, 1], and the digit on it."""

    values: np.ndarray[Any, Any]
    label: int


class Digits(NamedTuple):
    """Images ``(batch, y, x, channel)``, float32 in [0, 1], and the digit on each."""

    images: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]

    def picture(self, index: int) -> Picture:
        """One image alone."""
        return Picture(self.images[index, :, :, 0], int(self.labels[index]))


@dataclass(frozen=True)
class Trained:
    """A network before and after training, and how good it became.

    Parameters
    ----------
    framework : str
        The backend's name.
    untrained, trained : native models
    right, asked : int
        How many of the held-out digits the trained network reads right.
    seconds : float
        How long the training took.
    """

    framework: str
    untrained: Any
    trained: Any
    right: int
    asked: int
    seconds: float

    @property
    def result(self) -> str:
        """How good it became, in words."""
        return (
            f"reads {self.right} of {self.asked} unseen digits right after {self.seconds:.1f} s of training"
        )


@dataclass
class Participants:
    """The backends that can train, and a sentence for each that is not installed, or failed."""

    backends: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """What to say of those that do not train; of one not installed only where there are not two."""
        return [*self.failed, *(self.missing if len(self.backends) < 2 else [])]


def load_digits() -> tuple[Digits, Digits]:
    """1,797 handwritten digits: those to learn from, and those held out.

    Raises
    ------
    NetvizError
        If scikit-learn, which brings them, is not installed.
    """
    try:
        from sklearn.datasets import load_digits as read
    except ImportError as error:
        raise NetvizError(
            "the handwritten digits of the demo come with scikit-learn, which is not installed; "
            'to install it: pip install "netviz-core[demo]"'
        ) from error
    values, labels = read(return_X_y=True)
    pictures = (values.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    kept = np.zeros(len(labels), bool)
    kept[_HELD_OUT] = True
    return Digits(pictures[~kept], labels[~kept]), Digits(pictures[kept], labels[kept])


def find_participants(loading: Callable[[str], object]) -> Participants:
    """Load every backend that is installed, and keep those that can train.

    Parameters
    ----------
    loading : callable
        Told a backend's name before it is loaded, which may take seconds.
    """
    found = Participants()
    for name, state in list_backends().items():
        if state.status == "missing dependency":
            found.missing.append(f"{name} is not installed; to see it here too: {state.install}")
            continue
        loading(name)
        try:
            backend = get_backend(name)
        except (BackendLoadError, BackendConflictError) as error:
            found.failed.append(f"{name} was left out: {error}")
        else:
            if hasattr(backend, "demo"):
                found.backends[name] = backend
    return found


def train(name: str, backend: Any, learn: Digits, held_out: Digits, report: Report) -> Trained:
    """Train the network of one framework and see how well it reads the digits held out."""
    start = time.perf_counter()
    untrained, trained = backend.demo(learn.images, learn.labels, report)
    seconds = time.perf_counter() - start
    right = _read_right(trained, held_out)
    return Trained(name, untrained, trained, right, len(held_out.labels), seconds)


def _read_right(model: Any, digits: Digits) -> int:
    scores = capture(model, images(digits.images), "dense2")["dense2"].values
    return int((scores.argmax(axis=1) == digits.labels).sum())
