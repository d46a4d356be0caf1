"""What the numbers of a summary leave out, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..models.network import Network
from ..words.protocols import Layer
from .multiply_accumulates import has_formula
from .parts import SummaryRow
from .rows import stands_in


def unknown_rows(layers: Sequence[Layer], rows: Sequence[SummaryRow]) -> list[SummaryRow]:
    """The rows with a reason, without what others count for and containers that do nothing themselves."""
    counting = {layer.path for layer in layers if has_formula(layer)}
    parents = {row.path: row.parent for row in rows if row.parent is not None}
    found = []
    for row in rows:
        is_at_work = row.kind != "container" or row.own_parameters
        if row.reason and is_at_work and not any(stands_in(row.path, outer, parents) for outer in counting):
            found.append(row)
    return found


def notes_of(
    network: Network,
    layers: Sequence[Layer],
    rows: Sequence[SummaryRow],
    unknown: Sequence[SummaryRow],
    total: int,
    ran: bool,
) -> Iterable[str]:
    if total != rows[0].parameters:
        yield f"{network.backend} counts {total:,} parameters; in the layers listed are {rows[0].parameters:,}"
    unbuilt = [layer.path or "the model" for layer in layers if layer.config.get("built") is False]
    if unbuilt:
        yield f"not built yet, and without parameters so far: {_some(unbuilt)}"
    if not ran:
        yield "no input was given, so nothing ran: give x or input_shape= for shapes and multiply-accumulates"
    shared = [
        f"{row.path} with {row.shared_with or 'the model'}" for row in rows if row.shared_with is not None
    ]
    if shared:
        yield f"parameters counted once: {_some(shared)}"
    reasons: dict[str, list[str]] = {}
    for row in unknown:
        reasons.setdefault(row.reason, []).append(row.path or "the model")
    for reason, paths in reasons.items():
        yield f"{len(paths):,} layer{'s' * (len(paths) > 1)} ({_some(paths)}): {reason}"


def _some(names: Sequence[str], limit: int = 3) -> str:
    return ", ".join(names[:limit]) + (f", … ({len(names):,} in all)" if len(names) > limit else "")
