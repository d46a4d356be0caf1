"""The data flow of a model as it ran: layers, the operations between them, and what goes where."""

from __future__ import annotations

from .operations import OPERATIONS

__all__ = ["OPERATIONS"]
