"""Tables on the terminal: never cut off, and plain when the output goes elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..models.network import Network
from ..registry import PluginStatus
from ..words.protocols import WeightTensor

_STATUS_STYLES = {"loaded": "green", "available": "cyan", "missing dependency": "yellow", "broken": "red"}


def layers_table(network: Network) -> Table:
    """Every layer: its path, kind, type and weights."""
    table = _table("path", "kind", "type", "weights")
    for path, layer in network.layers.items():
        weights = "\n".join(_weight(weight) for weight in layer.weights.values())
        table.add_row(
            Text(path or "(the model)", "" if path else "dim"),
            *map(Text, (layer.kind, layer.type_name, weights)),
        )
    return table


def plugins_table(noun: str, plugins: Mapping[str, PluginStatus]) -> Table:
    """Every plugin: its state, where it comes from, and what to do if it cannot be used."""
    table = _table(noun, "status", "from", "remedy")
    for name, plugin in plugins.items():
        remedy = "\n".join(filter(None, (plugin.reason, plugin.install)))
        status = Text(plugin.status, _STATUS_STYLES[plugin.status])
        table.add_row(Text(name, "bold"), status, Text(plugin.distribution), Text(remedy))
    return table


def show(tables: Iterable[Table]) -> None:
    """Print tables on stdout, as wide as they need to be if that is no terminal."""
    console = Console()
    for position, table in enumerate(tables):
        if position:
            console.print()
        if not console.is_terminal:
            console.width = max(
                console.measure(table, options=console.options.update(width=10_000)).maximum, 20
            )
        console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _weight(weight: WeightTensor) -> str:
    sizes = ", ".join(f"{axis}={size}" for axis, size in zip(weight.axes, weight.shape, strict=True))
    return f"{weight.name} ({sizes})"
