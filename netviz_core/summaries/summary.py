"""What a model is made of: one row for each layer, in any framework."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from ..models.network import Network, wrap
from ..words.arguments import require_selection
from ..words.cards import Telling, Told
from ..words.errors import InputError, LayerNotFoundError, UnsupportedError, as_integer, nearest
from ..words.given import shown
from ..words.optional import needed
from ..words.protocols import LayerSelection
from . import text
from .notes import notes_of, unknown_rows
from .parts import COLUMNS, Depth, SummaryParts, SummaryRow
from .rows import Seen, observe, rows_of

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


@dataclass(frozen=True, repr=False)
class Summary(SummaryParts, Telling):
    """What a model is made of; made by `summary`. ``str()`` and ``print`` give the table.

    Parameters
    ----------
    title : str
    backend : str
    rows : tuple of SummaryRow
        Every layer asked for, in the model's order unless sorted.
    total_parameters : int
        The framework's own number.
    trainable_parameters : int
    parameter_bytes, output_bytes : int
        The memory of all parameters, and of what all layers returned in one pass.
    multiply_accumulates : int or None
        Of one pass, as far as they are known; None if there was none.
    is_lower_bound : bool
        Whether layers with weights stand in the model of which they are not known; `notes` names them.
    inputs : tuple of Form
        What the model was given; empty if there was no pass.
    columns : tuple of str, optional
        What the table shows, of `COLUMNS`.
    depth : int or "fit"
        Down to where the table goes.
    is_tree : bool
        Whether the rows are all layers in the model's order.
    notes : tuple of str
        What the numbers leave out.
    """

    def __getitem__(self, path: str) -> SummaryRow:
        """The row of the layer at `path`.

        Raises
        ------
        LayerNotFoundError
            If there is none, naming the nearest.
        """
        for row in self.rows:
            if row.path == path:
                return row
        known = nearest(str(path), (row.path for row in self.rows))
        raise LayerNotFoundError(f"the summary has no row {path!r}; {known}")

    def arranged(
        self, *, columns: Sequence[str] | None = None, depth: Depth = None, sort: str | None = None
    ) -> Summary:
        """The same summary with other columns, another depth or another order; no pass is made.

        Parameters
        ----------
        columns, depth, sort
            As for `summary`; what is left out stays as it is.
        """
        changed = self
        if columns is not None:
            changed = replace(changed, columns=_checked_columns(columns))
        if depth is not None:
            changed = replace(changed, depth=_checked_depth(depth))
        if sort is not None:
            changed = replace(changed, rows=_sorted(changed.rows, sort), is_tree=False)
        return changed

    def to_text(self, width: int | None = None) -> str:
        """The table as plain text.

        Parameters
        ----------
        width : int, optional
            How many columns of text there are; by default as many as it takes. Where there are too few,
            columns are left out, which the last lines say, and long paths are shortened in the middle.
        """
        return text.as_text(self, width)

    def __str__(self) -> str:
        return self.to_text(text.terminal_width())

    def __repr__(self) -> str:
        return f"<Summary of {self.title}: {len(self.rows)} layers, {self.total_parameters:,} parameters>"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from text.as_rich(self, options.max_width)

    def _told(self) -> Told:
        return text.as_told(self)

    def to_pandas(self) -> Any:
        """Every row and every field as a ``pandas.DataFrame``, whatever the table shows.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = needed("pandas", "to_pandas(), unlike to_dict(),")
        names = [entry.name for entry in fields(SummaryRow) if entry.name not in ("inputs", "outputs")]
        return pandas.DataFrame({name: [getattr(row, name) for row in self.rows] for name in names})

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, lists, strings and numbers."""
        found: dict[str, Any] = json.loads(self.to_json())
        return found

    def to_json(self, *, indent: int | None = None) -> str:
        """Everything as JSON, whatever the table shows."""
        shown_only = ("columns", "depth", "is_tree")
        whole = {name: value for name, value in asdict(self).items() if name not in shown_only}
        return json.dumps(whole, indent=indent, ensure_ascii=False)


def summary(
    model: Any,
    x: Any = None,
    layers: LayerSelection = "*",
    *,
    input_shape: Sequence[int] | Sequence[Sequence[int]] | None = None,
    axes: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    columns: Sequence[str] | None = None,
    depth: Depth = "fit",
    sort: str | None = None,
) -> Summary:
    """List the layers of a model with their shapes, parameters, memory and multiply-accumulates.

    Parameters
    ----------
    model : native model, fastai Learner, path, or Network
    x : array, native tensor, AxisArray, or a tuple or dict of them, optional
        The input of one forward pass, in evaluation mode, which leaves the model as it was. Without
        it: one of `input_shape`, or of the model's own data, or of the shapes that it declares; where
        there is none of these, the table has no shapes.
    layers : str, list of str, or callable
        Which layers get a row; totals are those of the whole model.
    input_shape : shape, or sequence of shapes, optional
        In the place of `x`, one for each input, with the batch and in the framework's own order.
    axes : sequence of str, or mapping, optional
        Names for axes that netviz cannot know, see `capture`.
    columns : sequence of str, optional
        What the table shows, of the fields of `SummaryRow`.
    depth : int or "fit"
        Down to where the table goes: 1 for the layers directly in the model. By default as far as it has at most
        200 lines. `Summary.rows` has every layer all the same.
    sort : str, optional
        A column by which rows are sorted, numbers from large to small; containers that have no
        parameters of their own are left out then.

    Returns
    -------
    Summary

    Raises
    ------
    InputError
        If a column is unknown or a shape is none, or if a column needs a pass and there is no input.
    Exception
        Whatever the model itself raises, unchanged.

    Notes
    -----
    Parameters are what the framework counts: in PyTorch no buffers, in Keras running statistics, too. What several
    layers share counts once, at the first. See `netviz_core.summaries.multiply_accumulates` for what is counted there.

    Examples
    --------
    >>> import numpy as np
    >>> from netviz_core.testing import example_model
    >>> found = summary(example_model(), np.zeros((1, 1, 8, 8)))
    >>> found.total_parameters, found["conv1"].output_shape, found["conv1"].multiply_accumulates
    (1490, (1, 4, 6, 6), 1296)
    >>> print(found.arranged(columns=["path", "kind", "parameters", "share"]))
    layer     kind       parameters   share
    ───────────────────────────────────────
    Model     container       1,490  100.0%
      conv1   conv2d             40    2.7%
      dense1  dense           1,450   97.3%
    ───────────────────────────────────────
    parameters 1,490: 1,490 trainable, 0 not; 11.9 kB
    one pass over b1 1 8 8: 2.74 k multiply-accumulates, 1.23 kB of outputs
    """
    require_selection("summary", {"model": model, "x": x, "layers": layers})
    asked = None if columns is None else _checked_columns(columns)
    depth = _checked_depth(depth)
    network = wrap(model)
    x = _input(network, x, input_shape)
    if x is None and asked is not None and (missing := _NEED_A_PASS & set(asked)):
        raise InputError(
            f"the column {min(missing)!r} needs a forward pass, and there is no input; give x, a batch, "
            f"or input_shape=, such as (1, 3, 224, 224)"
        )
    seen = Seen() if x is None else observe(network, x, axes)
    everything = network.select()
    rows = rows_of(network, everything, seen)
    unknown = unknown_rows(everything, rows)
    chosen = {layer.path for layer in network.select(layers)}
    whole = rows[0]
    total = _total(network, whole)
    made = Summary(
        title=everything[0].type_name,
        backend=network.backend,
        rows=tuple(row for row in rows if row.path in chosen),
        total_parameters=total,
        trainable_parameters=whole.trainable_parameters,
        parameter_bytes=whole.parameter_bytes,
        output_bytes=whole.output_bytes,
        multiply_accumulates=whole.multiply_accumulates,
        is_lower_bound=any(row.own_parameters or row.calls for row in unknown),
        inputs=whole.inputs,
        columns=asked,
        depth=depth,
        is_tree=len(chosen) == len(rows),
        notes=tuple(notes_of(network, everything, rows, unknown, total, x is not None)),
    )
    return made if sort is None else made.arranged(sort=sort)


_NEED_A_PASS = frozenset({"input_shape", "output_shape", "output_bytes", "multiply_accumulates", "calls"})


def _checked_columns(columns: Sequence[str]) -> tuple[str, ...]:
    if isinstance(columns, str) or not isinstance(columns, Sequence) or not columns:
        raise InputError(f"columns={shown(columns)} is no list of names; there are {', '.join(COLUMNS)}")
    for name in columns:
        if not isinstance(name, str) or name not in COLUMNS:
            raise InputError(f"there is no column {shown(name)}; {nearest(str(name), COLUMNS)}")
    return tuple(dict.fromkeys(columns))


def _checked_depth(depth: Depth) -> Depth:
    if depth is None or (isinstance(depth, str) and depth == "fit"):
        return "fit"
    levels = as_integer(depth, "depth")
    if levels < 0:
        raise InputError(f"depth={shown(depth)} is no depth; give 0, 1, 2, … or 'fit'")
    return levels


def _sorted(rows: Iterable[SummaryRow], by: str) -> tuple[SummaryRow, ...]:
    (name,) = _checked_columns([by])
    listed = [row for row in rows if row.kind != "container" or row.own_parameters]

    def key(row: SummaryRow) -> Any:
        value = getattr(row, name)
        return (True, 0) if value is None else (False, value if isinstance(value, (str, tuple)) else -value)

    return tuple(sorted(listed, key=key))


def _input(network: Network, x: Any, input_shape: Any) -> Any:
    """The input given, or one of the shapes given, of the model's own data, or of the shapes that it declares."""
    backend = network.adapter
    if x is not None and input_shape is not None:
        raise InputError("both x and input_shape were given; give one of them")
    if isinstance(x, (tuple, list)) and x and all(type(part) is int for part in x):
        raise InputError(f"x={shown(x)} is a shape and no input; give input_shape={shown(x)}, or an array")
    if x is not None:
        return x
    if input_shape is not None:
        shapes = _shapes(input_shape)
        if not hasattr(backend, "example_of"):
            raise UnsupportedError(f"the {backend.name} backend makes no input of a shape; give x, a batch")
        return backend.example_of(network.native, shapes)
    if hasattr(backend, "example"):
        return backend.example(network.native)
    if hasattr(backend, "example_of"):
        try:
            return backend.example_of(network.native, None)
        except InputError:
            return None
    return None


def _shapes(given: Any) -> list[tuple[int, ...]]:
    try:
        parts = list(given)
        several = bool(parts) and all(isinstance(part, (tuple, list)) for part in parts)
        shapes = [
            tuple(as_integer(size, "size") for size in shape) for shape in (parts if several else [parts])
        ]
    except (TypeError, InputError):
        shapes = []
    if not shapes or any(size < 1 for shape in shapes for size in shape) or not all(shapes):
        raise InputError(
            f"input_shape={shown(given)} is no shape; give whole numbers with the batch, such as (1, 3, 224, 224), "
            f"or a list of such shapes, one for each input"
        )
    return shapes


def _total(network: Network, whole: SummaryRow) -> int:
    if hasattr(network.adapter, "parameter_count"):
        return int(network.adapter.parameter_count(network.native))
    return whole.parameters
