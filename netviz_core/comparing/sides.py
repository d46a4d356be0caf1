"""What one of two models did: the layers that computed, in order, what each was given and returned."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..captures.capture import Capture
from ..captures.recorder import Recorder, Slot
from ..models.checkpoint import Checkpoint
from ..models.described import RememberedLayer
from ..models.network import Network
from ..words.errors import InputError
from ..words.observations import Coverage
from ..words.protocols import Layer
from ..words.supports_passes import Replacement, StandIn
from .stations import Station, link


@dataclass(eq=False)
class Side:
    """One of two models.

    Parameters
    ----------
    name : str
        ``a`` or ``b``.
    framework : str
    layers : mapping from path to Layer
    stations : sequence of Station
        In the order in which they returned; empty if nothing was run.
    whole : Station or None
        The outermost model: what it was given and returned.
    network : Network or None
        The model itself, if it is here.
    outer : sequence of Station
        What was seen of layers that hold others.
    unread : str
        What could not be looked into of what the model returned, and why; empty if there is nothing.
    others : mapping from name to value
        What else it returned that may hold numbers.
    entire : collection of str
        The paths of layers that are not looked into, though others stand in them.
    is_rerun : bool
        Whether values of the other side stood in place on the way.
    """

    name: str
    framework: str
    layers: Mapping[str, Layer]
    stations: Sequence[Station] = ()
    whole: Station | None = None
    network: Network | None = None
    inputs: Any = field(default=None, repr=False)
    outer: Sequence[Station] = ()
    unread: str = ""
    others: Mapping[str, Any] = field(default_factory=dict)
    entire: Collection[str] = ()
    is_rerun: bool = False

    @cached_property
    def containers(self) -> Mapping[str, Station]:
        """What layers that hold others were given and returned, if they ran once; for a free run takes another pass."""
        seen = self.outer
        if self.network is not None and not self.is_rerun:
            recorders = _recorded(self.network, self.inputs, self._holding(), sys.maxsize)
            seen = _calls(self.layers, *(recorder.slots for recorder in recorders))
        return {station.path: station for station in seen if station.calls == 1}

    def _holding(self) -> list[Layer]:
        """The layers that others stand in, the outermost aside."""
        paths = {above for station in self.stations for above in containers_of(station.path)} - {""}
        ran = {station.path for station in self.stations}
        return [self.layers[path] for path in sorted(paths & self.layers.keys() - ran)]

    @cached_property
    def holds_weights(self) -> bool:
        """Whether the weights of its layers are known; those of a capture are, if it was asked to keep them."""
        return self.network is not None or any(layer.weights for layer in self.layers.values())

    @property
    def can_be_rerun(self) -> bool:
        """Whether other values can be put in place on the way through the model."""
        return bool(
            self.stations and self.network is not None and hasattr(self.network.adapter, "run_replaced")
        )

    def rerun(
        self,
        replacement: Replacement,
        instead: Mapping[str, Sequence[StandIn]],
        before: Side | None = None,
        passed_over: Collection[str] = (),
    ) -> Side:
        """The same side in one more pass, in which other values stand in place.

        Its stations have the same numbers and sources as before; one that was not called this time was given, and
        returned, nothing. Layers that are `passed_over`, or have something hand on `instead` of what they compute,
        are as they were `before`.
        """
        assert self.network is not None
        adapter = self.network.adapter
        assert hasattr(adapter, "run_replaced")
        unseen = {*instead, *passed_over}
        paths = {station.path: None for station in self.stations if station.path not in unseen}
        layers = [self.layers[path] for path in paths]
        layers += [self.layers[""]] if "" in self.layers and self.whole not in self.stations else []
        held = [] if before is not None and before.is_rerun else self._holding()
        layers += held
        given = Recorder(layers, max_bytes=sys.maxsize)
        returned = Recorder(layers, max_bytes=sys.maxsize, given=given)
        adapter.run_replaced(self.network.native, self.inputs, returned, replacement, instead)
        calls = _calls(self.layers, returned.slots, given.slots)
        seen = {(station.path, station.call): station for station in calls}

        def again(station: Station) -> Station:
            if before is not None and station.path in unseen:
                return before.stations[station.number]
            found = seen.get((station.path, station.call))
            slots = (found.given_slots, found.returned_slots) if found is not None else ((), ())
            return replace(station, given_slots=slots[0], returned_slots=slots[1])

        stations = [again(station) for station in self.stations]
        whole = self.whole
        if whole is not None:
            whole = stations[whole.number] if whole in self.stations else again(whole)
        holding = {layer.path for layer in held}
        outer = [station for station in calls if station.path in holding]
        return replace(self, stations=stations, whole=whole, outer=outer, is_rerun=True)

    @property
    def ordered(self) -> bool:
        """Whether the order of the layers means something."""
        native = self.network.native if self.network is not None else None
        return not isinstance(native, Checkpoint) or native.ordered


def told_apart(a: Side, b: Side, given: tuple[Any, Any]) -> tuple[str, str]:
    """What to call the two: by what first tells them apart of frameworks, files and classes; else by frameworks."""
    sides = (a, b)
    frameworks = (a.framework, b.framework)
    files = tuple(Path(one).name if isinstance(one, (str, Path)) else "" for one in given)
    classes = tuple(side.layers[""].type_name if "" in side.layers else "" for side in sides)
    for ours, theirs in (frameworks, files, classes):
        if ours and theirs and ours != theirs:
            return ours, theirs
    return frameworks


def side_of(
    name: str, network: Capture | Network, x: Any, max_bytes: int, entire: Collection[str] = ()
) -> Side:
    """See a model, or a capture of one, as a side of a comparison; runs the model once if there is an input.

    The layers called `entire` are not looked into, though others stand in them.
    """
    if isinstance(network, Capture):
        if not network.layers:
            raise InputError(
                f"the capture given as {name} does not say what its layers are, as those of older files do not; "
                f"capture it again"
            )
        slots = network.slots().values(), network.given_slots()
        side = _side(name, network.backend, network.layers, *slots, entire)
        side.unread = _unread(network.coverage)
        return side
    if x is None or isinstance(network.native, Checkpoint):
        return Side(name, network.backend, network.layers, network=network)
    network.prepare(x)
    layers = {path: RememberedLayer(layer) for path, layer in network.layers.items()}
    # What containers return is mostly what layers within return: it is looked at where there is need of it.
    looked_at = [
        layer for layer in layers.values() if layer.kind != "container" or layer.path in {"", *entire}
    ]
    returned, given = _recorded(network, x, looked_at, max_bytes)
    side = _side(name, network.backend, layers, returned.slots, given.slots, entire)
    side.network, side.inputs = network, x
    side.unread, side.others = _unread(returned.coverage()), dict(returned.others.get("", ()))
    return side


def _side(
    name: str,
    framework: str,
    layers: Mapping[str, Layer],
    returned: Any,
    given: Any,
    entire: Collection[str],
) -> Side:
    calls = _calls(layers, returned, given)
    keep = _computing(layers, {station.path for station in calls}, entire)
    stations = [station for station in calls if station.path in keep]
    for number, station in enumerate(stations):
        station.number = number
    outer = [station for station in calls if station.path not in keep and station.path]
    whole = next((station for station in calls if not station.path), None)
    link(stations, whole)
    return Side(name, framework, layers, stations, whole, outer=outer, entire=entire)


def _recorded(network: Network, x: Any, layers: Sequence[Layer], max_bytes: int) -> tuple[Recorder, Recorder]:
    """What layers returned and were given."""
    given = Recorder(layers, max_bytes=max_bytes)
    returned = Recorder(layers, max_bytes=max_bytes, given=given)
    network.adapter.run(network.native, x, returned)
    return returned, given


def _unread(coverage: Mapping[str, Coverage]) -> str:
    """Why not all that the model returned was captured, if it was asked for."""
    return coverage[""].reason if "" in coverage else ""


def _calls(layers: Mapping[str, Layer], returned: Any, given: Any) -> list[Station]:
    """All calls, in the order in which they returned."""
    received = _grouped(given)
    calls = _grouped(returned)
    counts: dict[str, int] = {}
    for path, call in calls:
        counts[path] = max(counts.get(path, 0), call + 1)
    return [
        Station(number, layers[path], call, counts[path], received.get((path, call), ()), slots)
        for number, ((path, call), slots) in enumerate(calls.items())
    ]


def _grouped(slots: Any) -> dict[tuple[str, int], list[Slot]]:
    groups: dict[tuple[str, int], list[Slot]] = {}
    for slot in slots:
        groups.setdefault((slot.path, slot.call), []).append(slot)
    return groups


def _computing(layers: Mapping[str, Layer], ran: Collection[str], entire: Collection[str]) -> set[str]:
    """The layers that compute themselves: none within which others ran, unless it is of a kind of its own."""
    whole = {path for path in ran if path in entire or layers[path].kind not in ("container", "other")}
    outer = {above for path in ran for above in containers_of(path) if above in ran}
    return {
        path
        for path in ran
        if not any(above in whole for above in containers_of(path))
        and (path in whole or path not in outer)
        and not (path == "" and len(ran) > 1)
    }


def containers_of(path: str) -> list[str]:
    """The paths of what a layer stands in, the innermost first; the outermost model is called ``""``."""
    places = [place for place, letter in enumerate(path) if letter in "./"]
    return [path[:place] for place in reversed(places)] + ([""] if path else [])
