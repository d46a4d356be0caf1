"""What people give by mistake, and to what: calls that must be refused, with a sentence of netviz' own.

    python -m tests.all.mistakes > mistakes.md

writes what was given and what is said as a table.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import netviz_core as nv
from netviz_core.testing import reference

BACKENDS = ("torch", "keras", "fastai", "netviz_core")
LONGEST = 400

Array = np.ndarray[Any, Any]


class Subject(NamedTuple):
    """A model of one framework, its input as it should be, and one whose channels stand where they should not."""

    backend: str
    model: Any
    x: Array
    moved: Array
    folder: Path


class Unchanged(reference.Op):
    """What it is given."""

    kind = "dropout"

    def __call__(self, x: Array) -> Array:
        return x


class Pool(reference.Op):
    """The averages of maps."""

    kind = "pool"
    output_axes = ("batch", "channel")

    def __call__(self, x: Array) -> Array:
        return np.asarray(x.mean((2, 3)))

    def pull_back(self, gradient: Array, x: Array) -> Array:
        return np.broadcast_to(gradient[..., None, None] / x[0, 0].size, x.shape)


class Mistake(NamedTuple):
    """One call that must be refused."""

    backend: str
    call: str
    given: str
    ask: Callable[[Subject], Any]


def subject(backend: str, folder: Path) -> Subject:
    """A new model; both have the same layers, under the same names."""
    first = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    last = np.ascontiguousarray(np.moveaxis(first, 1, -1))
    if backend == "keras":
        layers = keras.layers
        inside = [layers.Conv2D(4, 3, name="conv"), layers.Dropout(0.5, name="drop")]
        inside += [layers.GlobalAveragePooling2D(name="pool"), layers.Dense(2, name="fc")]
        return Subject(backend, keras.Sequential([keras.Input((8, 8, 3)), *inside]), last, first, folder)
    if backend == "netviz_core":
        nv.register_backend(backend, reference.ReferenceBackend)
        random = np.random.default_rng(1)
        conv = reference.Conv2d(kernel=random.normal(size=(4, 3, 3, 3)), bias=np.zeros(4))
        fc = reference.Dense(kernel=random.normal(size=(2, 4)), bias=np.zeros(2))
        model = reference.Model(conv=conv, drop=Unchanged(), pool=Pool(), fc=fc)
        return Subject(backend, model, first, last, folder)
    model = torch_model()
    if backend == "fastai":
        dls = DataLoaders(*[DataLoader(TensorDataset(torch.from_numpy(first), torch.zeros(4).long()))] * 2)
        model = Learner(dls, model, nn.CrossEntropyLoss(), path=folder)
    return Subject(backend, model, first, last, folder)


def torch_model() -> nn.Module:
    modules = OrderedDict[str, nn.Module](conv=nn.Conv2d(3, 4, 3), drop=nn.Dropout())
    modules.update(pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc=nn.Linear(4, 2))
    model = nn.Sequential(modules).train()
    model.drop.eval()  # as a user may have it: not all in one mode
    return model


def state(asked: Subject) -> list[Any]:
    """All that a mistake must leave as it was: weights, modes, hooks."""
    if asked.backend == "keras":
        layers = asked.model.layers
        return [
            [w.tobytes() for w in asked.model.get_weights()],
            [(y.trainable, len(y.__dict__)) for y in layers],
        ]
    if asked.backend == "netviz_core":
        return [
            [w.tobytes() for op in asked.model.layers.values() for w in op.parameters.values()],
            asked.model.listeners,
        ]
    model = asked.model.model if asked.backend == "fastai" else asked.model
    modules = list(model.modules())
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules]
    tensors = [(t.detach().numpy().tobytes(), t.requires_grad, t.grad) for t in model.parameters()]
    return [tensors, [m.training for m in modules], hooks]


def picture() -> Any:
    return Image.fromarray(np.zeros((8, 8, 3), np.uint8))


EVERYWHERE: dict[str, Callable[[Subject], Any]] = {
    "a string": lambda m: "cat",
    "the path of a picture": lambda m: "cat.png",
    "a pathlib.Path": lambda m: Path("cat.png"),
    "a number": lambda m: 3,
    "True": lambda m: True,
    "a shape": lambda m: (1, 3, 224, 224),
    "a shape in a list": lambda m: [1, 3, 224, 224],
    "nested lists": lambda m: m.x.tolist(),
    "a picture of Pillow": lambda m: picture(),
    "a list of pictures": lambda m: [picture(), picture()],
    "a DataLoader": lambda m: DataLoader(torch.from_numpy(m.x)),
    "a torch Dataset": lambda m: TensorDataset(torch.from_numpy(m.x)),
    "a tf.data.Dataset": lambda m: __import__("tensorflow").data.Dataset.from_tensor_slices(m.x),
    "a generator": lambda m: (part for part in m.x),
    "no sample": lambda m: m.x[:0],
    "strings in an array": lambda m: np.array(["a", "b"]),
    "objects in an array": lambda m: np.array([None, {}], object),
    "dates": lambda m: np.array(["2020-01-01"], "M8[D]"),
    "a masked array": lambda m: np.ma.masked_array(m.x, m.x > 0),
    "an empty list": lambda m: [],
    "an empty dict": lambda m: {},
    "a set": lambda m: {1, 2},
    "a range": lambda m: range(3),
    "a class": lambda m: np.ndarray,
    "a module": lambda m: np,
    "a function": lambda m: np.linalg.norm,
    "bytes": lambda m: b"abc",
    "a capture": lambda m: nv.capture(m.model, m.x),
    "a Network": lambda m: nv.wrap(m.model),
}
"""Inputs of which the same is said whatever the framework."""

EACH: dict[str, Callable[[Subject], Any]] = {
    "channels at the wrong end": lambda m: m.moved,
    "no batch axis": lambda m: m.x[0],
    "an axis too many": lambda m: m.x[None],
    "flat pictures": lambda m: m.x.reshape(len(m.x), -1),
    "a number in an array": lambda m: np.array(3.0),
    "a DataFrame": lambda m: pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}),
    "the wrong names": lambda m: {"pixels": m.x},
    "inputs and labels": lambda m: [m.x, np.zeros(4)],
    "twice the channels": lambda m: np.concatenate([m.x, m.x], -1 if m.backend == "keras" else 1),
    "the model": lambda m: m.model,
    "a sparse tensor": lambda m: torch.from_numpy(m.x).to_sparse(),
    "a meta tensor": lambda m: torch.empty(m.x.shape, device="meta"),
    "complex numbers": lambda m: m.x.astype(complex),
}

OF_TORCH: dict[str, Callable[[Subject], Any]] = {
    "uint8": lambda m: (m.x * 9).astype(np.uint8),
    "int64": lambda m: m.x.astype(np.int64),
    "booleans": lambda m: m.x > 0,
    "a float64 tensor": lambda m: torch.from_numpy(m.x).double(),
}
"""Keras brings these to the dtype of its model by itself."""

CALLS: dict[str, Callable[[Subject, Any], Any]] = {
    "capture(model, …)": lambda m, x: nv.capture(m.model, x),
    "feature_maps(model, 'conv', …)": lambda m, x: nv.feature_maps(m.model, "conv", x),
    "cam(model, …)": lambda m, x: nv.cam(m.model, x),
    "summary(model, …)": lambda m, x: nv.summary(m.model, x),
    "graph(model, …)": lambda m, x: nv.graph(m.model, x),
    "health(model, …)": lambda m, x: nv.health(m.model, x),
}

ARGUMENTS: dict[str, Callable[[Subject], Any]] = {
    "capture(x, model)": lambda m: nv.capture(m.x, m.model),
    "cam(x, model)": lambda m: nv.cam(m.x, m.model),
    "health(x, model)": lambda m: nv.health(m.x, m.model),
    "kernels('conv', model)": lambda m: nv.kernels("conv", m.model),
    "feature_maps(model, x, 'conv')": lambda m: nv.feature_maps(m.model, m.x, "conv"),
    "top_losses(model, data, 9)": lambda m: nv.top_losses(m.model, (m.x, np.zeros(4)), 9),
    "summary(model, layers=model)": lambda m: nv.summary(m.model, m.x, layers=m.model),
    "capture(None, x)": lambda m: nv.capture(None, m.x),
    "capture(model)": lambda m: nv.capture(m.model),
    "wrap(class)": lambda m: nv.wrap(type(m.model)),
    "wrap([model, model])": lambda m: nv.wrap([m.model, m.model]),
    "wrap(function)": lambda m: nv.wrap(len),
    "kernels(model, 'cnov')": lambda m: nv.kernels(m.model, "cnov"),
    "kernels(model, 'conv ')": lambda m: nv.kernels(m.model, "conv "),
    "kernels(model, '*nope*')": lambda m: nv.kernels(m.model, "*nope*"),
    "kernels(model, 0)": lambda m: nv.kernels(m.model, 0),
    "kernels(model, 'pool')": lambda m: nv.kernels(m.model, "pool"),
    "kernels(model, 'conv', weight='wieght')": lambda m: nv.kernels(m.model, "conv", weight="wieght"),
    "kernels(model, 'conv', channel=99)": lambda m: nv.kernels(m.model, "conv", channel=99),
    "kernels(model, 'conv', limit='all')": lambda m: nv.kernels(m.model, "conv", limit="all"),
    "histogram(model, 'conv', bins=0)": lambda m: nv.histogram(m.model, "conv", bins=0),
    "histogram(model, 'conv', bins=10**9)": lambda m: nv.histogram(m.model, "conv", bins=10**9),
    "histogram(model, 'conv', bins='auto')": lambda m: nv.histogram(m.model, "conv", bins="auto"),
    "heatmap(model, 'conv', limit=-1)": lambda m: nv.heatmap(m.model, "conv", limit=-1),
    "feature_maps(model, 'conv', x, sample=4)": lambda m: nv.feature_maps(m.model, "conv", m.x, sample=4),
    "feature_maps(model, 'conv', x, sample='a')": lambda m: nv.feature_maps(m.model, "conv", m.x, sample="a"),
    "cam(model, x, target=7)": lambda m: nv.cam(m.model, m.x, target=7),
    "cam(model, x, target='cat')": lambda m: nv.cam(m.model, m.x, target="cat"),
    "cam(model, x, method='gradcam++')": lambda m: nv.cam(m.model, m.x, method="gradcam++"),
    "cam(model, x, 'fc')": lambda m: nv.cam(m.model, m.x, "fc"),
    "capture(model, x, [])": lambda m: nv.capture(m.model, m.x, []),
    "capture(model, x, max_bytes=1)": lambda m: nv.capture(m.model, m.x, max_bytes=1),
    "capture(model, x, axes='byxc')": lambda m: nv.capture(m.model, m.x, axes="byxc"),
    "capture(model, x, reduce=model)": lambda m: nv.capture(m.model, m.x, reduce=m.model),
    "capture(model, x)[0]": lambda m: nv.capture(m.model, m.x)[0],
    "capture(model, x)['cnov']": lambda m: nv.capture(m.model, m.x)["cnov"],
    "summary(model, input_shape='big')": lambda m: nv.summary(m.model, input_shape="big"),
    "summary(model, columns='path')": lambda m: nv.summary(m.model, columns="path"),
    "summary(model, sort=array)": lambda m: nv.summary(m.model, sort=m.x),
    "summary(model, depth=-1)": lambda m: nv.summary(m.model, depth=-1),
    "statistics(model, model)": lambda m: nv.statistics(m.model, m.model, progress=False),
    "statistics(model, 3)": lambda m: nv.statistics(m.model, 3, progress=False),
    "statistics(…, executor='threads')": lambda m: nv.statistics(m.model, [m.x], executor="threads"),
    "statistics(model, [])": lambda m: nv.statistics(m.model, [], progress=False),
    "statistics(…)['cnov']": lambda m: _statistics(m)["cnov"],
    "statistics(…)[['conv']]": lambda m: _statistics(m)[["conv"]],
    "statistics(…).merge(3)": lambda m: _statistics(m).merge(3),
    "statistics(…).heatmap(3)": lambda m: _statistics(m).heatmap(3),
    "statistics(…).histograms(bins='a')": lambda m: _statistics(m).histograms(bins="a"),
    "similarity(model, 3, x)": lambda m: nv.similarity(m.model, 3, m.x),
    "similarity of two samples": lambda m: nv.similarity(m.model, m.model, m.x[:2]),
    "compare(model, None, x)": lambda m: nv.compare(m.model, None, m.x),
    "compare(model, x)": lambda m: nv.compare(m.model, m.x),
    "compare(…, mapping=3)": lambda m: nv.compare(m.model, m.model, m.x, 3),
    "compare(…, mapping={'cnov': 'conv'})": lambda m: nv.compare(m.model, m.model, m.x, {"cnov": "conv"}),
    "compare(…, tolerance=[model])": lambda m: nv.compare(m.model, m.model, m.x, tolerance=[m.model]),
    "compare(…, names='ab')": lambda m: nv.compare(m.model, m.model, m.x, names="ab"),
    "compare(…, names=three)": lambda m: nv.compare(m.model, m.model, m.x, names=("a", "b", "c")),
    "compare(…, loss=array)": lambda m: nv.compare(m.model, m.model, m.x, loss=m.x, targets=m.x),
    "compare(…, targets=3)": lambda m: nv.compare(m.model, m.model, m.x, loss="cross_entropy", targets=3),
    "compare(…, targets=halves)": lambda m: nv.compare(
        m.model, m.model, m.x, loss="cross_entropy", targets=np.full(4, 0.5)
    ),
    "copy_weights(model, None)": lambda m: nv.copy_weights(m.model, None),
    "copy_weights(…, mapping=model)": lambda m: nv.copy_weights(m.model, m.model, m.model),
    "top_losses(model, 1, x)": lambda m: nv.top_losses(m.model, 1, m.x),
    "top_losses(…, loss=class)": lambda m: nv.top_losses(m.model, 1, (m.x, np.zeros(4)), nn.CrossEntropyLoss),
    "top_losses(…, loss='hnige')": lambda m: nv.top_losses(m.model, 1, (m.x, np.zeros(4)), "hnige"),
    "top_losses(…, loss='cross_entropi')": lambda m: nv.top_losses(
        m.model, 1, (m.x, np.zeros(4)), "cross_entropi"
    ),
    "top_losses(model, 1, (y, x))": lambda m: nv.top_losses(m.model, 1, (np.zeros(4), m.x), "cross_entropy"),
    "top_losses(model, 1, [x, y])": lambda m: nv.top_losses(m.model, 1, [m.x, np.zeros(4)], "cross_entropy"),
    "top_losses of class 9": lambda m: nv.top_losses(m.model, 1, (m.x, np.full(4, 9)), "cross_entropy"),
    "side_by_side()": lambda m: nv.side_by_side(),
    "side_by_side(model)": lambda m: nv.side_by_side(m.model),
    "images('cat.png')": lambda m: nv.images("cat.png"),
    "images of two sizes": lambda m: nv.images([np.zeros((8, 8, 3)), np.zeros((9, 8, 3))]),
    "images of a palette": lambda m: nv.images(picture().convert("P")),
    "images(x, axes=3)": lambda m: nv.images(m.x, 3),
    "AxisArray(x, 'byxc')": lambda m: nv.AxisArray(m.x, "byxc"),
    "load_capture(3)": lambda m: nv.load_capture(3),
    "get_backend('trch')": lambda m: nv.get_backend("trch"),
    "plot(cmap='viridsi')": lambda m: nv.kernels(m.model, "conv").plot(cmap="viridsi"),
    "plot(ax=model)": lambda m: nv.kernels(m.model, "conv").plot(m.model),
    "plot(colour='red')": lambda m: nv.kernels(m.model, "conv").plot(colour="red"),
    "plot(title=[model])": lambda m: nv.kernels(m.model, "conv").plot(title=[m.model, m.model]),
    "plot(renderer=array)": lambda m: nv.kernels(m.model, "conv").plot(renderer=m.x),
    "histogram plot(cmap='magma')": lambda m: nv.histogram(m.model, "conv").plot(cmap="magma"),
    "save(3)": lambda m: nv.kernels(m.model, "conv").save(3),
    "save('figure.bmp')": lambda m: nv.kernels(m.model, "conv").save("figure.bmp"),
    **{
        f"wrap({how} {suffix})": lambda m, how=how, suffix=suffix: nv.wrap(_damaged(m.folder, how, suffix))
        for suffix in (".pt", ".safetensors", ".npz", ".h5", ".keras", ".png")
        for how in ("empty", "half")
    },
}


NO_MISTAKES = {
    "fastai": {"capture(model)"},
    "netviz_core": {
        "complex numbers",
        "summary(model, layers=model)",
        "capture(model, x, reduce=model)",
        "copy_weights(…, mapping=model)",
    },
}
"""A Learner has data of its own. NumPy computes with complex numbers, and a model of it can be called like any function
of a user's."""


def _statistics(asked: Subject) -> nv.Statistics:
    return nv.statistics(asked.model, [asked.x], progress=False)


def _damaged(folder: Path, how: str, suffix: str) -> Path:
    path = folder / f"{how}{suffix}"
    torch.save({"weight": torch.zeros(99)}, path)
    path.write_bytes(path.read_bytes()[: 0 if how == "empty" else 300])
    return path


def every_mistake() -> Iterator[Mistake]:
    for backend in BACKENDS:
        allowed = NO_MISTAKES.get(backend, ())
        inputs = {**EVERYWHERE, **EACH, **(OF_TORCH if backend in ("torch", "fastai") else {})}
        for call, ask in CALLS.items():
            for given in (name for name in inputs if name not in allowed):
                make = inputs[given]
                yield Mistake(backend, call, given, lambda m, ask=ask, make=make: ask(m, make(m)))
        for call in (name for name in ARGUMENTS if name not in allowed):
            yield Mistake(backend, call, "", ARGUMENTS[call])


def said(mistake: Mistake, asked: Subject) -> str:
    """What is said; that something else than netviz' own error is raised, or nothing, is for the caller."""
    try:
        mistake.ask(asked)
    except nv.NetvizError as error:
        return str(error).replace(str(asked.folder), "folder")
    raise AssertionError(f"{mistake.call} takes {mistake.given}")


ABSENT = {
    "get_backend('torch')": ("torch", "nv.get_backend('torch')"),
    "get_backend('keras')": ("keras", "nv.get_backend('keras')"),
    "get_backend('fastai')": ("fastai", "nv.get_backend('fastai')"),
    "wrap('model.pt')": ("torch", "nv.wrap('model.pt')"),
    "wrap('model.pt2')": ("torch", "nv.wrap('model.pt2')"),
    "wrap('model.keras')": ("keras", "nv.wrap('model.keras')"),
    "wrap('model.keras') on TensorFlow": ("tensorflow", "nv.wrap('model.keras')"),
    "wrap('learner.pkl')": ("fastai", "nv.wrap('learner.pkl')"),
    "plot()": ("matplotlib", "nv.kernels(model, 'conv1').plot()"),
    "save('figure.png')": ("matplotlib", "nv.kernels(model, 'conv1').save('figure.png')"),
    "to_xarray()": ("xarray", "nv.capture(model, x)['conv1'].to_xarray()"),
    "to_pandas()": ("pandas", "nv.summary(model, x).to_pandas()"),
    "to_networkx()": ("networkx", "nv.Graph('graph', (), ()).to_networkx()"),
}
"""What is asked for where something is not installed, by what that is and how it is asked."""

_WITHOUT = """
import sys
from importlib.machinery import PathFinder
found = PathFinder.find_spec
PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None: None if name.split(".")[0] == {absent!r} else found(name, path, target)
)
import os, zipfile
import numpy as np
os.chdir({folder!r})
for name in ("model.pt", "model.pt2", "model.keras", "learner.pkl"):
    with zipfile.ZipFile(name, "w") as file:
        file.writestr("config.json", "{{}}")
import netviz_core as nv
from netviz_core.testing import example_model
model, x = example_model(), np.zeros((2, 1, 8, 8), "f4")
try:
    {asked}
except nv.NetvizError as error:
    print(error)
"""


def said_without(call: str, folder: Path) -> str:
    """What is said of a call in a process of its own, in which nobody finds what is absent."""
    absent, asked = ABSENT[call]
    code = _WITHOUT.format(absent=absent, asked=asked, folder=str(folder))
    engine = {"KERAS_BACKEND": absent} if absent == "tensorflow" else {}  # else Keras takes what is there
    environment = {**os.environ, **engine}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return ran.stdout.rstrip("\n")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        subjects = {backend: subject(backend, Path(name)) for backend in BACKENDS}
        print("| | call | given | said |\n|---|---|---|---|")
        for one in every_mistake():
            text = said(one, subjects[one.backend]).replace("|", "\\|")
            print(f"| {one.backend} | `{one.call}` | {one.given} | {text} |")
        for call, (absent, _) in ABSENT.items():
            text = said_without(call, Path(name)).replace("|", "\\|")
            print(f"| without {absent} | `{call}` | | {text} |")
