"""A backend for toyframe, as a third party would write it."""

from contextlib import contextmanager
from dataclasses import dataclass, field

import toyframe
from netviz_core.backend_api import Observation


@dataclass(frozen=True)
class ToyLayer:
    path: str
    native: toyframe.Net
    kind: str = "other"
    type_name: str = "Net"
    weights: dict = field(default_factory=dict)
    config: dict = field(default_factory=dict)
    trainable: bool = False


@dataclass(frozen=True)
class Value:
    values: object

    @property
    def shape(self):
        return self.values.shape

    def numpy(self):
        return self.values


class ToyBackend:
    name = "toyframe"

    def accepts(self, model):
        return isinstance(model, toyframe.Net)

    def layers(self, model):
        yield ToyLayer("", model)

    def run(self, model, inputs, recorder=None):
        output = model(inputs)
        if recorder is not None:
            axes = ("batch", "channel")
            recorder.add("", [Observation("", Value(output), axes, str(output.dtype), output.nbytes)])
        return output

    @contextmanager
    def record(self, model, recorder):
        yield
