"""The sections of a report, in their order: each makes its parts as HTML, or none where it does not apply."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..attributions.attention import attention
from ..attributions.cam import cam
from ..graphs.data_flow import graph_as_far
from ..graphs.export import named_sizes
from ..measures.health import health
from ..measures.health_view import Health
from ..measures.statistics import statistics
from ..models.network import Network, layer_at_fault
from ..pages.unfolding import Mark, Unfolding, unfolded
from ..summaries.summary import summary
from ..views.base import View, picture
from ..views.histogram import histograms
from ..views.tiles import feature_maps, kernels
from ..words.cards import Telling, pairs, soft
from ..words.errors import AmbiguousKeyError, AxisError, InputError, LayerNotFoundError, NetvizError
from ..words.protocols import Layer
from ..words.text_tables import described, flattened
from .layer_tree import layer_tree

_MOST_PICTURES = 3
"""Of how many layers a section shows pictures: of the first, the last, and those evenly between."""

_MOST_TILES = 1024
"""Of so many kernels or maps at the most each picture is; it says which."""


class Asked:
    """What a report is asked for, and what several of its sections need."""

    def __init__(self, network: Network, x: Any, targets: Any, loss: str | None) -> None:
        self.network = network
        has_own = hasattr(network.adapter, "example")
        self.x = network.input_or_example(x) if x is not None or has_own else None
        self.targets = targets
        self.loss = loss
        self._health: Health | None = None
        self.first_failure = ""
        """Why the first section that failed did."""
        self.failed_at: str | None = None
        """The layer in which the model failed, empty where that is not known; None where it did not."""

    def why(self, error: Exception) -> str:
        """What an error says: one of the model's own, in which layer."""
        if isinstance(error, NetvizError):
            told = flattened(str(error))
        else:
            path = self.failed_at = layer_at_fault([self.network], error)
            told = f"the model failed{f' in layer {path!r}' if path else ''}: {described(error)}"
        self.first_failure = self.first_failure or told
        return told

    @property
    def health(self) -> Health:
        """Whether it is healthy; made once."""
        if self._health is None:
            self._health = health(self.network, self.x, targets=self.targets, loss=self.loss)
        return self._health

    @property
    def verdict(self) -> str:
        """The sentence that counts."""
        if self._health is not None:
            return self._health._told().verdict
        if self.x is None:
            return "No pass was made, as there was no input: what stands here is of the model alone"
        return f"{self.first_failure[:1].upper()}{self.first_failure[1:]}"

    @property
    def state(self) -> str:
        """What the verdict amounts to."""
        if self._health is not None:
            return self._health._told().state
        return "doubtful" if self.failed_at is None else "odd"

    @property
    def images(self) -> bool:
        """Whether the model is given pictures."""
        adapter = self.network.adapter
        return (
            self.x is not None
            and hasattr(adapter, "images")
            and adapter.images(self.network.native, self.x) is not None
        )

    def layers(self, is_wanted: Callable[[Layer], bool]) -> list[str]:
        """The paths of some of the layers wanted: the first, the last, and those evenly between."""
        found = [path for path, layer in self.network.layers.items() if is_wanted(layer)]
        return _spread(found)


def _spread(found: Sequence[str]) -> list[str]:
    last = len(found) - 1
    places = [round(number * last / (_MOST_PICTURES - 1)) for number in range(_MOST_PICTURES)]
    return [found[place] for place in dict.fromkeys(places)] if found else []


def _health(asked: Asked) -> Iterator[str]:
    if asked.x is not None:
        yield from _card(asked.health)


def _layers(asked: Asked) -> Iterator[str]:
    try:
        found = summary(asked.network, asked.x)
    except Exception as error:
        yield soft(f"Without what a pass would show: {asked.why(error)}")
        yield from asked.network._told().parts
        return
    yield soft(found._told().verdict)
    yield layer_tree(found.rows)
    yield from map(soft, found.notes)


def _graph(asked: Asked) -> Iterator[str]:
    if not hasattr(asked.network.adapter, "trace"):
        return
    found, error = graph_as_far(asked.network, asked.x)
    if asked.x is None and isinstance(error, InputError):
        return  # as whatever else needs an input
    if error is not None and not found.nodes:
        raise error
    alarms = {row.path: Mark("broken", row.status) for row in _alarms(asked)}
    ran = [node for node in found.nodes if node.type_name]
    marks = alarms | {node.id: alarms[node.path] for node in ran if node.path in alarms}
    legend = {"broken": "an alarm, see Health"} if marks else {}
    if error is not None:
        yield soft(f"The pass failed; it is drawn as far as it came: {asked.why(error)}")
    failed_at = asked.failed_at if error is None else layer_at_fault([asked.network], error)
    last = [node.id for node in ran if node.path == failed_at][-1:]
    for place in last or [group.path for group in found.groups if group.path == failed_at]:
        marks[place] = Mark("broken", "it failed here")
        legend = {"broken": "where the pass failed"}
    layers = asked.network.layers
    sheets = {}
    for node in found.nodes:
        told: dict[str, Any] = {
            "kind": node.kind,
            "returns": named_sizes(node.output_shape, node.output_axes),
        }
        if node.type_name:
            told |= _settings(layers[node.path])
        sheets[node.id] = pairs({name: value for name, value in told.items() if value != ""})
    yield unfolded([Unfolding(found, found.title, marks, sheets)], legend=legend).html


def _alarms(asked: Asked) -> Sequence[Any]:
    return asked._health.alarms if asked._health is not None else ()


def _settings(layer: Layer) -> Mapping[str, Any]:
    weights = {
        f"weight {name}": named_sizes(weight.shape, weight.axes) for name, weight in layer.weights.items()
    }
    return {"type": layer.type_name, **layer.config, **weights}


def _kernels(asked: Asked) -> Iterator[str]:
    for path in asked.layers(_has_kernel_images):
        yield picture(kernels(asked.network, path, limit=_MOST_TILES), path)


def _has_kernel_images(layer: Layer) -> bool:
    kernel = layer.weights.get("kernel")
    return kernel is not None and "x" in kernel.axes and max(_places(kernel)) > 1


def _places(tensor: Any) -> list[int]:
    return [size for size, axis in zip(tensor.shape, tensor.axes, strict=True) if axis in ("z", "y", "x")]


def _weights(asked: Asked) -> Iterator[str]:
    if any(layer.weights for layer in asked.network.layers.values()):
        yield picture(histograms(asked.network))


def _feature_maps(asked: Asked) -> Iterator[str]:
    if asked.x is None:
        return
    for path in asked.layers(_makes_maps):
        try:
            maps = feature_maps(asked.network, path, asked.x, limit=_MOST_TILES)
            yield picture(maps, f"{path}, of the first sample")
        except (AxisError, LayerNotFoundError) as error:
            yield soft(f"{path}: {error}")


def _makes_maps(layer: Layer) -> bool:
    return layer.kind.startswith(("conv", "depthwise_conv", "separable_conv"))


def _class_activation(asked: Asked) -> Iterator[str]:
    if asked.images and hasattr(asked.network.adapter, "gradients"):
        yield from _card(cam(asked.network, asked.x))


def _attention(asked: Asked) -> Iterator[str]:
    if asked.x is None or not hasattr(asked.network.adapter, "attention"):
        return
    try:
        yield picture(attention(asked.network, None, asked.x), "Of the first sample.")
    except LayerNotFoundError:
        return  # it has none
    except AmbiguousKeyError as error:
        for key in _spread(error.keys):
            yield picture(attention(asked.network, key, asked.x), f"{key}, of the first sample")
    except Exception as error:
        if asked.why(error) != asked.first_failure:
            raise
        return  # no pass is made, as other sections say, and whether it has any is not known


def _activations(asked: Asked) -> Iterator[str]:
    if asked.x is not None:
        batch = (asked.x, None)  # without targets: several inputs alone would be taken for a pair
        yield from _card(statistics(asked.network, [batch], progress=False))


def _card(found: Telling) -> Iterator[str]:
    """What an object tells of itself in a notebook."""
    if isinstance(found, View):
        yield picture(found)
    told = found._told()
    yield soft(told.verdict)
    yield from told.parts


SECTIONS: Mapping[str, Callable[[Asked], Iterator[str]]] = {
    "Health": _health,
    "Layers": _layers,
    "Graph": _graph,
    "Kernels": _kernels,
    "Weights": _weights,
    "Feature maps": _feature_maps,
    "Class activation": _class_activation,
    "Attention": _attention,
    "Activations": _activations,
}
