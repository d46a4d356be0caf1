"""What a model is made of: one row for each layer, in any framework."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..captures.recorder import FormRecorder
from ..models.network import Network, wrap
from ..words.errors import InputError, LayerNotFoundError, UnsupportedError, as_integer, nearest
from ..words.protocols import Layer, LayerSelection
from ..words.supports import ParameterForm
from .multiply_accumulates import Call, Form, has_formula, multiply_accumulates

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

Depth = int | Literal["fit"] | None


@dataclass(frozen=True)
class SummaryRow:
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
class Summary:
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
    notes: tuple[str, ...] = field(default=())

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
        from .text import as_text

        return as_text(self, width)

    def __str__(self) -> str:
        from .text import terminal_width

        return self.to_text(terminal_width())

    def __repr__(self) -> str:
        return f"<Summary of {self.title}: {len(self.rows)} layers, {self.total_parameters:,} parameters>"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from .text import as_rich

        yield from as_rich(self, options.max_width)

    def _repr_html_(self) -> str:
        from .text import as_html

        return as_html(self)

    def to_pandas(self) -> Any:
        """Every row and every field as a ``pandas.DataFrame``, whatever the table shows.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError(
                "a summary becomes a DataFrame with pandas, which is not installed: pip install pandas; "
                "to_dict() needs nothing"
            ) from error
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
    shown = None if columns is None else _checked_columns(columns)
    depth = _checked_depth(depth)
    network = wrap(model)
    x = _input(network, x, input_shape)
    if x is None and shown is not None and (missing := _NEED_A_PASS & set(shown)):
        raise InputError(
            f"the column {min(missing)!r} needs a forward pass, and there is no input; give x, a batch, "
            f"or input_shape=, such as (1, 3, 224, 224)"
        )
    if x is not None:
        network.prepare(x)
    everything = network.select()
    seen = _Seen() if x is None else _observe(network, everything, x, axes)
    rows = _rows(network, everything, seen)
    unknown = _unknown(everything, rows)
    chosen = {layer.path for layer in network.select(layers)}
    whole = rows[0]
    total = _total(network, whole)
    made = Summary(
        title=everything[0].type_name,
        backend=network.backend.name,
        rows=tuple(row for row in rows if row.path in chosen),
        total_parameters=total,
        trainable_parameters=whole.trainable_parameters,
        parameter_bytes=whole.parameter_bytes,
        output_bytes=whole.output_bytes,
        multiply_accumulates=whole.multiply_accumulates,
        is_lower_bound=any(row.own_parameters or row.calls for row in unknown),
        inputs=whole.inputs,
        columns=shown,
        depth=depth,
        is_tree=len(chosen) == len(rows),
        notes=tuple(_notes(network, everything, rows, unknown, total, x is not None)),
    )
    return made if sort is None else made.arranged(sort=sort)


_NEED_A_PASS = frozenset({"input_shape", "output_shape", "output_bytes", "multiply_accumulates", "calls"})


def _checked_columns(columns: Sequence[str]) -> tuple[str, ...]:
    if isinstance(columns, str) or not isinstance(columns, Sequence) or not columns:
        raise InputError(f"columns={columns!r} is no list of names; there are {', '.join(COLUMNS)}")
    for name in columns:
        if name not in COLUMNS:
            raise InputError(f"there is no column {name!r}; {nearest(str(name), COLUMNS)}")
    return tuple(dict.fromkeys(columns))


def _checked_depth(depth: Depth) -> Depth:
    if depth == "fit" or depth is None:
        return "fit"
    levels = as_integer(depth, "depth")
    if levels < 0:
        raise InputError(f"depth={depth!r} is no depth; give 0, 1, 2, … or 'fit'")
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
    backend = network.backend
    if x is not None and input_shape is not None:
        raise InputError("both x and input_shape were given; give one of them")
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
            f"input_shape={given!r} is no shape; give whole numbers with the batch, such as (1, 3, 224, 224), "
            f"or a list of such shapes, one for each input"
        )
    return shapes


@dataclass
class _Seen:
    """What a pass showed of each layer."""

    calls: dict[str, list[Call]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def _observe(network: Network, layers: Sequence[Layer], x: Any, axes: Any) -> _Seen:
    """Make one pass, and keep the forms of what every layer was given and returned."""
    given = FormRecorder(layers)
    returned = FormRecorder(layers, axes=axes, given=given)
    network.backend.run(network.native, x, returned)
    returned.require_axes_used()
    inputs = _forms(given)
    calls: dict[str, list[Call]] = {}
    for (path, number), outputs in _forms(returned).items():
        calls.setdefault(path, []).append(Call(tuple(inputs.get((path, number), ())), tuple(outputs)))
    reasons = {path: entry.reason for path, entry in returned.coverage().items() if entry.reason}
    return _Seen(calls, reasons)


def _forms(recorder: FormRecorder) -> dict[tuple[str, int], list[Form]]:
    """What a recorder was told of, by path and number of the call."""
    found: dict[tuple[str, int], list[Form]] = {}
    for slot in recorder.slots:
        seen = slot.get()
        form = Form(seen.leaf, seen.axes, seen.shape, seen.dtype)
        found.setdefault((seen.path, seen.call), []).append(form)
    return found


@dataclass
class _Count:
    """What adds up from the layers within."""

    parameters: int = 0
    trainable: int = 0
    nbytes: int = 0
    output_bytes: int = 0
    multiply_accumulates: int | None = None

    def include(self, other: _Count) -> None:
        self.parameters += other.parameters
        self.trainable += other.trainable
        self.nbytes += other.nbytes


def _rows(network: Network, layers: Sequence[Layer], seen: _Seen) -> list[SummaryRow]:
    parents = network.parents
    own, shared = _own_counts(network, layers, parents)
    totals = {path: replace(count) for path, count in own.items()}
    within: dict[str, list[str]] = {layer.path: [] for layer in layers}
    by_path = {layer.path: layer for layer in layers}
    known: dict[str, int | None] = {}
    for layer in reversed(layers):  # what stands within comes later
        path, calls = layer.path, seen.calls.get(layer.path, [])
        children, total = within[path], totals[path]
        counted = [multiply_accumulates(layer, call) for call in calls]
        known[path] = None if not calls or None in counted else sum(filter(None, counted))
        below = [totals[child].multiply_accumulates for child in children]
        total.multiply_accumulates = known[path]
        if children and not has_formula(layer):
            total.multiply_accumulates = sum(filter(None, below)) if calls or any(below) else None
        within_bytes = sum(totals[child].output_bytes for child in children)
        total.output_bytes = within_bytes or sum(_nbytes(form) for call in calls for form in call.outputs)
        if path in parents:
            within[parents[path]].append(path)
            totals[parents[path]].include(total)
    whole = max(totals[layers[0].path].parameters, 1)
    depths: dict[str, int] = {}
    rows = []
    for path, layer in by_path.items():
        depths[path] = depths[parents[path]] + 1 if path in parents else 0
        calls, total = seen.calls.get(path, []), totals[path]
        inputs, outputs = (calls[0].inputs, calls[0].outputs) if calls else ((), ())
        reason = seen.reasons.get(path, "")
        if not reason and calls and total.multiply_accumulates is None:
            reason = f"it is not known how often a layer of kind {layer.kind!r} multiplies"
        rows.append(
            SummaryRow(
                path=path,
                kind=layer.kind,
                type_name=layer.type_name,
                parent=parents.get(path),
                depth=depths[path],
                input_shape=inputs[0].shape if inputs else None,
                output_shape=outputs[0].shape if outputs else None,
                input_axes=inputs[0].axes if inputs else None,
                output_axes=outputs[0].axes if outputs else None,
                inputs=inputs,
                outputs=outputs,
                parameters=total.parameters,
                trainable_parameters=total.trainable,
                own_parameters=own[path].parameters,
                parameter_bytes=total.nbytes,
                output_bytes=total.output_bytes,
                multiply_accumulates=total.multiply_accumulates,
                share=total.parameters / whole,
                calls=len(calls),
                shared_with=shared.get(path),
                reason=reason,
            )
        )
    return rows


def _own_counts(
    network: Network, layers: Sequence[Layer], parents: Mapping[str, str]
) -> tuple[dict[str, _Count], dict[str, str]]:
    """What each layer has itself, everything once; and with whom it shares what was counted before.

    What a layer shows of those within it, as attention does of its projections, counts with these.
    """
    owners: dict[Hashable, tuple[str, ParameterForm]] = {}
    shared: dict[str, str] = {}
    for layer in layers:
        for form in _parameters_of(network, layer):
            owner = owners.get(form.identity)
            if owner is None or _stands_in(layer.path, owner[0], parents):
                owners[form.identity] = layer.path, form
            else:
                shared[layer.path] = owner[0]
    counts = {layer.path: _Count() for layer in layers}
    for path, form in owners.values():
        trainable = form.size if form.trainable else 0
        counts[path].include(_Count(form.size, trainable, form.nbytes))
    return counts, shared


def _stands_in(path: str, outer: str, parents: Mapping[str, str]) -> bool:
    while path in parents:
        path = parents[path]
        if path == outer:
            return True
    return False


def _parameters_of(network: Network, layer: Layer) -> Iterable[ParameterForm]:
    if hasattr(network.backend, "parameters_of"):
        yield from network.backend.parameters_of(layer)
        return
    for weight in layer.weights.values():
        size = int(np.prod(weight.shape, dtype=np.int64))
        yield ParameterForm(weight.identity, size, _itemsize(weight.dtype, size), weight.trainable)


def _total(network: Network, whole: SummaryRow) -> int:
    if hasattr(network.backend, "parameter_count"):
        return int(network.backend.parameter_count(network.native))
    return whole.parameters


def _nbytes(form: Form) -> int:
    return _itemsize(form.dtype, form.size)


def _itemsize(dtype: str, size: int) -> int:
    """How many bytes numbers of a native dtype take: ``bfloat16``, ``float8_e4m3fn``, ``bool``."""
    bits = re.search(r"\d+", dtype)
    return -(-size * int(bits[0]) // 8) if bits else size


def _unknown(layers: Sequence[Layer], rows: Sequence[SummaryRow]) -> list[SummaryRow]:
    """The rows with a reason, without what others count for and containers that do nothing themselves."""
    counting = {layer.path for layer in layers if has_formula(layer)}
    parents = {row.path: row.parent for row in rows if row.parent is not None}
    found = []
    for row in rows:
        is_at_work = row.kind != "container" or row.own_parameters
        if row.reason and is_at_work and not any(_stands_in(row.path, outer, parents) for outer in counting):
            found.append(row)
    return found


def _notes(
    network: Network,
    layers: Sequence[Layer],
    rows: Sequence[SummaryRow],
    unknown: Sequence[SummaryRow],
    total: int,
    ran: bool,
) -> Iterable[str]:
    if total != rows[0].parameters:
        yield f"{network.backend.name} counts {total:,} parameters; in the layers listed are {rows[0].parameters:,}"
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
