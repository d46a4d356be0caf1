"""A cause in a page: its sentence, and whether it was put to the test."""

from __future__ import annotations

from ...words.cards import prose
from ..explaining.causes import Cause
from . import wording


def cause_told(cause: Cause) -> str:
    """A cause as a paragraph of HTML."""
    kind, state = ("confirmed", "confirmed") if cause.confirmed else ("open", "not confirmed")
    return f'<p>{prose(wording.cause_words(cause))} <span class="tag {kind}">{state}</span></p>'
