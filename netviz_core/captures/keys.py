"""The readable keys of captured values: a path, the number of the call where it matters, and the part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .recorder import Slot


def keyed(slots: Sequence[Slot]) -> dict[str, Slot]:
    """Values by their keys, in the order in which they were returned."""
    calls: dict[str, int] = {}
    for slot in slots:
        calls[slot.path] = max(calls.get(slot.path, 0), slot.call)
    return {
        _unmistakable(slot.path)
        + (f":{slot.call}" if calls[slot.path] else "")
        + (f"#{slot.observation.leaf}" if slot.observation.leaf else ""): slot
        for slot in slots
    }


def fitting(key: str, slots: Mapping[str, Slot]) -> list[str]:
    """The keys that one which leaves out the call, the part or both may stand for."""
    return [full for full, slot in slots.items() if key in _shorter(slot)]


def _unmistakable(path: str) -> str:
    """A path that looks like a key with a call or a part is put in quotes."""
    return repr(path) if re.search(r"#|:\d+$", path) else path


def _shorter(slot: Slot) -> set[str]:
    return {slot.path, f"{slot.path}:{slot.call}", f"{slot.path}#{slot.observation.leaf}"}
