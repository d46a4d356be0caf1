"""ONNX models beside what they were exported from: what is captured, counted and compared, network by network.

    python benchmarks/onnx_models.py networks [WORD …]
    python benchmarks/onnx_models.py faults [WORD …] [--each 10]

``networks`` exports each network on the spot with random weights and counts: values that differ from those of a plain
session with added outputs, layers not captured, parameters and multiply-accumulates on both sides, and whether
`netviz_core.compare` finds a fault where there is none. ``faults`` plants some in the exported graphs, see
``onnx_faults``, and counts how many are found at their node, and with their cause. Needs netviz-onnx, onnxruntime,
onnxscript, timm, transformers, scikit-learn with skl2onnx, and Keras with tf2onnx.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
import onnx
import onnxruntime
import torch
from onnx_faults import planted
from torch import nn
from torchvision_models import models  # before transformers, which looks for torchvision, too

import netviz_core as nv


class Exported(NamedTuple):
    """A network, the graph it was exported to, and an input for both."""

    source: Any
    model: onnx.ModelProto
    x: Any


Make = Callable[[], Exported]


def _torch(make: Callable[[], nn.Module], *shape: int, dynamo: bool = False) -> Make:
    def exported() -> Exported:
        torch.manual_seed(0)
        module, x = make().eval(), torch.randn(2, *shape)
        _enliven(module)
        return Exported(module, _export(module, x, dynamo), x.numpy())

    return exported


def _text(name: str, **more: Any) -> Make:
    def exported() -> Exported:
        import transformers

        sizes = {
            "vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
            "intermediate_size": 48, "max_position_embeddings": 64, **more,
        }  # fmt: skip
        torch.manual_seed(0)
        module = _FirstOutput(
            getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**sizes))
        )
        _enliven(module.eval())
        tokens = torch.randint(3, 99, (2, 7))
        return Exported(module, _export(module, tokens, dynamo=True), tokens.numpy())

    return exported


class _FirstOutput(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=tokens, use_cache=False)[0]


def _enliven(module: nn.Module) -> None:
    """Give weights that begin as zeros or ones, and statistics, values that matter."""
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm) and child.running_mean is not None:
            child.running_mean.normal_(0, 0.1)
            child.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim == 1:
                weight.add_(torch.randn_like(weight) * 0.2)
            else:
                weight.copy_(torch.randn_like(weight) * 1.2 / max(1, weight[0].numel()) ** 0.5)


def _export(module: nn.Module, x: torch.Tensor, dynamo: bool) -> onnx.ModelProto:
    """The tracing exporter with batch norms left as they are, or the newer one, which folds them."""
    kept = {"opset_version": 17, "training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "model.onnx"
        torch.onnx.export(module, (x,), path, dynamo=dynamo, **({"external_data": False} if dynamo else kept))
        return onnx.load(path)


def _keras(name: str, **more: Any) -> Make:
    def exported() -> Exported:
        import keras

        keras.utils.set_random_seed(0)
        model = getattr(keras.applications, name)(
            weights=None, input_shape=(64, 64, 3), classifier_activation=None, **more
        )
        random = np.random.default_rng(0)
        x = random.normal(size=(2, 64, 64, 3)).astype("float32")
        for weight in model.weights:
            drawn = random.normal(size=weight.shape)
            fan_in = np.prod(weight.shape[:-2] if "depthwise" in weight.path else weight.shape[:-1])
            lively = drawn * 1.2 / fan_in**0.5 if len(weight.shape) > 1 else np.array(weight) + 0.2 * drawn
            weight.assign(np.abs(lively) + 0.2 if "variance" in weight.path else lively)
        model(x)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            model.export(path, format="onnx", verbose=False)
            return Exported(model, onnx.load(path), x)

    return exported


def _sklearn(make: Callable[[], Any]) -> Make:
    def exported() -> Exported:
        from skl2onnx import to_onnx

        x = np.random.default_rng(0).normal(size=(80, 6)).astype("float32")
        model = to_onnx(make().fit(x, x[:, 0] + x[:, 1] ** 2 > 0.5), x[:1])
        return Exported(model, model, x)  # scikit-learn has no layers to compare with

    return exported


def _pipelines() -> dict[str, Make]:
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    made: dict[str, Callable[[], Any]] = {
        "LogisticRegression": LogisticRegression,
        "MLPClassifier": lambda: MLPClassifier((8,), max_iter=300),
        "StandardScaler, PCA, LogisticRegression": lambda: make_pipeline(
            StandardScaler(), PCA(3), LogisticRegression()
        ),
        "RandomForestClassifier": lambda: RandomForestClassifier(5),
        "KNeighborsClassifier": lambda: KNeighborsClassifier(3),
        "GaussianNB": GaussianNB,
    }
    return {f"sklearn/{name}": _sklearn(make) for name, make in made.items()}


def _networks() -> dict[str, Make]:
    import timm

    found: dict[str, Make] = {}
    for name in """
        resnet18 mobilenet_v2 mobilenet_v3_small shufflenet_v2_x0_5 squeezenet1_1 efficientnet_b0 densenet121
        regnet_y_400mf mnasnet0_5 convnext_tiny
    """.split():
        found[f"torchvision/{name}"] = _torch(
            lambda name=name: getattr(models, name)(weights=None), 3, 64, 64
        )
    found["torchvision/vit"] = _torch(
        lambda: models.VisionTransformer(32, 16, 2, 4, 64, 128), 3, 32, 32, dynamo=True
    )
    for name in (
        "convnextv2_atto ghostnet_100 edgenext_xx_small poolformer_s12 hardcorenas_a res2net50_26w_4s".split()
    ):
        found[f"timm/{name}"] = _torch(lambda name=name: timm.create_model(name), 3, 64, 64)
    for name, more in {
        "mixer_s32_224": {},
        "vit_tiny_patch16_224": {"depth": 3},
        "deit_tiny_patch16_224": {"depth": 3},
    }.items():
        found[f"timm/{name}"] = _torch(
            lambda name=name, more=more: timm.create_model(name, img_size=64, **more), 3, 64, 64, dynamo=True
        )
    few = {"num_key_value_heads": 2, "head_dim": 8}
    for name, more in {
        "Bert": {}, "Roberta": {}, "MPNet": {}, "GPTNeoX": {}, "Llama": few, "Qwen2": few, "Mistral": few,
        "DistilBert": {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4},
        "Electra": {"embedding_size": 16}, "Albert": {"embedding_size": 16},
        "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
        "OPT": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    }.items():  # fmt: skip
        found[f"transformers/{name}"] = _text(name, **more)
    for name, more in {
        "MobileNet": {"alpha": 0.25}, "MobileNetV2": {"alpha": 0.35}, "MobileNetV3Small": {}, "DenseNet121": {},
    }.items():  # fmt: skip
        found[f"keras/{name}"] = _keras(name, **more)
    return found | _pipelines()


def _differing(exported: Exported) -> tuple[int, int, int]:
    """How many values there are that are not those of a plain session; how many there are; and of layers not seen."""
    from netviz_onnx.held import held
    from netviz_onnx.layers import layers

    captured = nv.capture(exported.model, exported.x)
    calls = {layer.path: layer.calls for layer in layers(held(exported.model))}
    names = {}
    for key, activation in captured.items():
        returned = calls[activation.path][activation.call].returned
        names[key] = returned[int(activation.leaf.partition(".")[0] or 0)]
    other = onnx.ModelProto()
    other.CopyFrom(exported.model)
    has = {value.name for value in other.graph.output}
    other.graph.output.extend(onnx.ValueInfoProto(name=name) for name in {*names.values()} - has)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        other.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted = sorted({*names.values()})
    given = {session.get_inputs()[0].name: exported.x}
    plain = dict(zip(wanted, session.run(wanted, given), strict=True))
    differing = sum(not _same(slot, plain[names[key]]) for key, slot in captured.slots().items())
    missed = sum(entry.status != "captured" for entry in captured.coverage.values())
    return differing, len(names), missed


def _same(slot: Any, value: Any) -> bool:
    seen = slot.observation.value.numpy()
    return isinstance(value, np.ndarray) and np.array_equal(seen, value, equal_nan=value.dtype.kind == "f")


def _count_networks(makes: Mapping[str, Make]) -> None:
    print(
        "network | values differing / seen, layers missed | parameters source, ONNX | multiply-accumulates | compare"
    )
    alarms = done = 0
    for name, make in makes.items():
        try:
            exported = make()
        except Exception as error:
            print(f"{name} | not exported: {type(error).__name__}", flush=True)
            continue
        differing, seen, missed = _differing(exported)
        sides = [nv.summary(side, _for(side, exported.x)) for side in (exported.source, exported.model)]
        compared = nv.compare(exported.source, exported.model, exported.x)
        done, alarms = done + 1, alarms + (not compared.agrees or bool(compared.faults))
        counts = " | ".join(
            f"{getattr(sides[0], what):,} {getattr(sides[1], what):,}"
            for what in ("total_parameters", "multiply_accumulates")
        )
        print(f"{name} | {differing} / {seen}, {missed} | {counts} | {compared.title}", flush=True)
    print(f"{done} networks, {alarms} false alarms")


def _for(side: Any, x: np.ndarray) -> Any:
    return torch.from_numpy(x) if isinstance(side, nn.Module) else x


def _count_faults(makes: Mapping[str, tuple[int, Make]], each: int) -> None:
    total = placed = explained = 0
    for name, (seed, make) in makes.items():
        exported = make()
        right = nv.capture(exported.model, exported.x, "")[""].values
        for kind, fault in planted(exported.model, seed, each):
            try:
                wrong = nv.capture(fault.model, exported.x, "")[""].values
            except Exception:
                continue  # it does not run any more, which needs no comparison
            if np.abs(wrong - right).max() <= 1e-3 * np.abs(right).max():
                continue  # nothing that it returns tells of it
            compared = nv.compare(exported.source, fault.model, exported.x)
            told = compared.faults[:1] + compared.faults[1:2]
            here = any(_is_at(place, exported.model, fault) for place in told)
            text = " ".join(f"{cause.name} {cause.text}".lower() for place in told for cause in place.causes)
            because = any(word in text for word in fault.words)
            total, placed, explained = total + 1, placed + here, explained + (here and because)
            if not (here and because):
                first = (
                    f"{told[0].pair.path_a} | {told[0].pair.path_b}: {text[:160]}" if told else compared.title
                )
                print(
                    f"{name}: {kind} at {fault.tensors[0]} {'found' if here else 'not found'}: {first}",
                    flush=True,
                )
        print(f"{name}: {placed} of {total} at their node, {explained} with their cause", flush=True)


def _is_at(place: Any, before: onnx.ModelProto, fault: Any) -> bool:
    """Whether a fault is told of where it was planted: at the layer, the scope right around it, or what reads it.

    A removed activation does not exist in b: there what it read stands in its place, if the cause names an activation.
    Of steps between layers, a cause has the step.
    """
    from netviz_onnx.held import held
    from netviz_onnx.layers import layers

    known = layers(held(before))
    own = {layer.path for layer in known if layer.kind != "container" for call in layer.calls
           for node in call.nodes if {*node.outputs} & {*fault.tensors}}  # fmt: skip
    readers = {layer.path for layer in known if layer.kind != "container" for call in layer.calls
               if {*call.given} & {*fault.tensors}}  # fmt: skip
    around = {path.rpartition(mark)[0] for path in own for mark in "./" if mark in path}
    paths = {place.pair.path_a, place.pair.path_b}
    paths |= {path for cause in place.causes for path in (cause.path_a, cause.path_b)}
    is_gone = fault.tensors[0] not in {name for node in fault.model.graph.node for name in node.output}
    if is_gone and any(cause.name in ("activation", "slope") for cause in place.causes):
        read = {
            name for node in before.graph.node if {*node.output} & {*fault.tensors} for name in node.input
        }
        around |= {layer.path for layer in known if layer.kind != "container" for call in layer.calls
                   if {*call.returned} & read}  # fmt: skip
    return bool(paths & (own | readers | (around - {""})))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["networks", "faults"])
    parser.add_argument("words", nargs="*", default=[""], help="only networks with one of these words")
    parser.add_argument("--each", type=int, default=10, help="faults for each network")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    every = _networks()
    makes = {
        name: make for name, make in every.items() if any(word in name for word in options.words or [""])
    }
    if options.what == "networks":
        _count_networks(makes)
    else:
        # The number of a network among all seeds its faults: of some networks they are those of the whole count.
        numbered = {name: (seed, every[name]) for seed, name in enumerate(every) if name in makes}
        _count_faults({name: one for name, one in numbered.items() if "sklearn" not in name}, options.each)


if __name__ == "__main__":
    main()
