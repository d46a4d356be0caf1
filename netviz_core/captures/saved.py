"""Opens captures that were saved."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..models.network import Network, wrap
from ..words.observations import Coverage
from .capture import Capture
from .files import is_capture, read
from .recorder import Slot

if TYPE_CHECKING:
    from pathlib import Path


def load_capture(path: str | Path) -> Capture:
    """Open a capture that was saved; needs no framework and runs nothing.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Capture
        Its values are read from the file when they are asked for.

    Raises
    ------
    FileFormatError
        If the file is truncated, or is no capture.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import netviz_core as nv, numpy as np, os, tempfile
    >>> from netviz_core.testing import example_model
    >>> path = os.path.join(tempfile.mkdtemp(), "capture.safetensors")
    >>> nv.capture(example_model(), np.zeros((2, 1, 8, 8)), "conv1").save(path)
    >>> nv.load_capture(path)["conv1"].axes
    ('batch', 'channel', 'y', 'x')
    """
    found = read(path)
    returned, given = _Saved(found.returned, found.coverage), _Saved(found.given, {})
    return Capture(found.backend, returned, found.versions, found.layers, given)


def opened(model: Any, *, trust: bool = False) -> Capture | Network:
    """A model as a network, as `wrap` makes it, or a capture of one; of a path that which the file is."""
    if isinstance(model, (str, os.PathLike)) and is_capture(os.fspath(model)):
        return load_capture(os.fspath(model))
    return model if isinstance(model, Capture) else wrap(model, trust=trust)


@dataclass(frozen=True)
class _Saved:
    """The `CaptureSource` of a file."""

    slots: Sequence[Slot]
    entries: Mapping[str, Coverage]
    changes: int = 0

    def coverage(self) -> Mapping[str, Coverage]:
        return self.entries
