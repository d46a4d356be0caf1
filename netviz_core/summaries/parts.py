"""What a summary consists of: a row for each layer, and what is true of the whole model."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from ..words.cards import Record
from .multiply_accumulates import Form

Depth = int | Literal["fit"] | None


@dataclass(frozen=True, repr=False)
class SummaryRow(Record):
    """What one layer is.

    Parameters
    ----------
    path, kind, type_name : str
    parent : str or None
        The path of the layer in which it stands; None for the model itself.
    depth : int
        How many layers it stands in; 0 for the model itself.
    input_shape, output_shape : tuple of int, or None
        Of the first tensor of the first call, in canonical order; None where it was not seen.
    input_axes, output_axes : tuple of str, or None
        The axes of these shapes.
    inputs, outputs : tuple of Form
        Every tensor of the first call.
    parameters, trainable_parameters : int
        Of the layer and of all within. What is shared counts once, where it stands first.
    own_parameters : int
        Without those of layers within: over all rows they add up to the total.
    parameter_bytes, output_bytes : int
        The memory of `parameters`, and of all that the layer (or, where some ran within it, those) returned.
    multiply_accumulates : int or None
        In all calls, see `netviz_core.summaries.multiply_accumulates`; None where it is not known.
    share : float
        `parameters` divided by those of the model.
    calls : int
        How often it ran.
    shared_with : str or None
        The path of the layer at which parameters of this one were counted already.
    reason : str
        Why it was not observed, or its multiply-accumulates are not known; else empty.
    """

    path: str
    kind: str
    type_name: str
    parent: str | None
    depth: int
    input_shape: tuple[int, ...] | None
    output_shape: tuple[int, ...] | None
    input_axes: tuple[str, ...] | None
    output_axes: tuple[str, ...] | None
    inputs: tuple[Form, ...]
    outputs: tuple[Form, ...]
    parameters: int
    trainable_parameters: int
    own_parameters: int
    parameter_bytes: int
    output_bytes: int
    multiply_accumulates: int | None
    share: float
    calls: int
    shared_with: str | None
    reason: str


COLUMNS = tuple(
    entry.name
    for entry in fields(SummaryRow)
    if entry.name not in ("parent", "input_axes", "output_axes", "inputs", "outputs")
)
"""What can be shown: the fields of `SummaryRow`; shapes are shown with their axes."""


@dataclass(frozen=True, repr=False)
class SummaryParts:
    """What a summary is as data alone; its fields are those of `netviz_core.summaries.summary.Summary`."""

    title: str
    backend: str
    rows: tuple[SummaryRow, ...]
    total_parameters: int
    trainable_parameters: int
    parameter_bytes: int
    output_bytes: int
    multiply_accumulates: int | None
    is_lower_bound: bool
    inputs: tuple[Form, ...]
    columns: tuple[str, ...] | None = None
    depth: Depth = "fit"
    is_tree: bool = True
    notes: tuple[str, ...] = ()
