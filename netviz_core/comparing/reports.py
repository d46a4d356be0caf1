"""What a comparison found, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..views.comparison import Comparison


def text(found: Comparison) -> str:
    """The report as plain text."""
    lines = [found.title]
    for pair in found.pairs:
        lines.append(
            f"  {pair.path_a} ~ {pair.path_b} {pair.kind} {pair.max_abs_difference:.2e} err {pair.error:.1e} given {pair.given_error:.1e} {pair.status} {pair.confidence} {pair.evidence} {pair.note}"
        )
    lines += [f"unmatched a {found.unmatched_a}", f"unmatched b {found.unmatched_b}", str(found.reasons)]
    if found.first_divergence:
        f = found.first_divergence
        lines.append(f"FIRST {f.path_a} ~ {f.path_b} {f.note}")
    lines += [f"{cause.name} confirmed={cause.confirmed}: {cause.text}" for cause in found.causes]
    return "\n".join(lines)
