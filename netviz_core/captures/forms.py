"""The forms of what layers are given and return: one pass in which no value is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..models.network import Network
from ..words.arrays import Activation
from ..words.observations import Coverage, Observation, blank
from .recorder import Recorder, Slot


class Forms(NamedTuple):
    """What was seen in a pass; of each `Activation` everything but its values, which are zeros in no memory."""

    returned: Sequence[Activation]
    given: Sequence[Activation]
    coverage: Mapping[str, Coverage]


def forms(network: Network, x: Any, axes: Any = None, *, with_given: bool = False) -> Forms:
    """Make one pass, and keep the form of everything that a model's layers return, in that order.

    Parameters
    ----------
    network : Network
    x, axes
        As for `netviz_core.capture`.
    with_given : bool
        Keep the forms of what layers are given, too.
    """
    network.prepare(x)
    layers = network.select()
    given = _FormRecorder(layers) if with_given else None
    returned = _FormRecorder(layers, axes, given=given)
    network.adapter.run(network.native, x, returned)
    returned.require_axes_used()
    return Forms(returned.forms(), given.forms() if given is not None else (), returned.coverage())


class _FormRecorder(Recorder):
    """Receives what layers returned, and keeps its form alone: zeros in the place of values, in no memory."""

    keeps_values = False

    def reduces(self, path: str) -> bool:
        """Whether what the layer at `path` returns is made smaller at once."""
        return True

    def forms(self) -> Sequence[Activation]:
        return [slot.get() for slot in self.slots]

    def _slot(self, path: str, call: int, observed: Observation) -> Slot:
        form = observed._replace(value=blank(observed.value.shape), nbytes=0)
        return Slot(path, call, form, self._axes_of(path, observed))
