"""Real networks as cases, right ones and with faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from .catalogue import KINDS
from .judging import Case, Made, NoEffect, Planted

RIGHT = """
    torchvision+resnet18 torchvision+resnet50 torchvision+densenet121 torchvision+mobilenet_v2
    torchvision+efficientnet_b0 torchvision+convnext_tiny torchvision+mobilenet_v3_small
    torchvision+mobilenet_v3_large torchvision+mnasnet0_5 torchvision+resnext50_32x4d torchvision+inception_v3
    keras+EfficientNetB0 keras+EfficientNetB1 keras+EfficientNetV2B0 keras+VGG16 keras+VGG19 keras+DenseNet121
    keras+ResNet50 own+resnet50 own+mobilenet_v2 own+encoder own+encoder_pre own+bilstm own+gru
    sdpa+Albert sdpa+Bart sdpa+Bert sdpa+BioGpt sdpa+DistilBert sdpa+Electra sdpa+Gemma sdpa+GPT2
    sdpa+GPTNeoX sdpa+Llama sdpa+MBart sdpa+Mistral sdpa+ModernBert sdpa+Olmo2 sdpa+OPT sdpa+Phi sdpa+Qwen2
    sdpa+Qwen3 sdpa+Roberta sdpa+StableLm sdpa+XLMRoberta sdpa+Beit sdpa+DeiT sdpa+Dinov2 sdpa+ViT sdpa+ViTMSN
    twin+Llama+torch twin+GPT2+torch twin+BERT+torch twin+GPT2+keras twin+BERT+keras
""".split()
"""Where a network comes from, and which it is."""

FAULTY = """
    torchvision+resnet18 torchvision+resnet50 torchvision+densenet121 torchvision+mobilenet_v2
    torchvision+efficientnet_b0 torchvision+mobilenet_v3_small torchvision+inception_v3 keras+EfficientNetB0
    keras+VGG16 keras+DenseNet121 keras+ResNet50 own+encoder own+bilstm sdpa+Bert sdpa+GPT2 sdpa+Llama sdpa+Mistral
    sdpa+Qwen2 sdpa+Bart sdpa+ViT sdpa+DeiT twin+Llama+torch twin+BERT+torch twin+GPT2+keras
""".split()


def make(name: str) -> Made:
    from . import real  # it brings both frameworks and many models

    where, model, *more = name.split("+")
    if where == "twin":
        from .twins import twin

        return twin(model, more[0])
    makers: dict[str, Callable[[str], Made]] = {
        "torchvision": lambda one: real.from_torchvision(one, real.PAIRS[one]),
        "keras": lambda one: real.APPLICATIONS[one](),
        "own": real.tested,
        "sdpa": real.implementations,
    }
    return makers[where](model)


def real_networks() -> Iterator[Case]:
    for name in RIGHT:
        yield Case(f"real/{name}", "real", name.split("+")[0], partial(make, name))


def real_faults() -> Iterator[Case]:
    for number, name in enumerate(FAULTY):
        for count in (1, 1 + number % 4):
            seed = number * 10 + count
            label = (
                f"real faults/{name}/{count} fault{'s' if count > 1 else ''}/{seed}{'' if count > 1 else 'a'}"
            )
            yield Case(label, "real faults", name.split("+")[0], partial(make_faulty, name, count, seed))
            if count == 1 and number % 4 == 0:
                break


class Layer(NamedTuple):
    """A layer of b, its weights, and how they and its epsilon are set."""

    path: str
    one: Any

    @property
    def is_torch(self) -> bool:
        return isinstance(self.one, nn.Module)

    def epsilon(self) -> str:
        """What this one's epsilon is called; empty if it has none."""
        return next((name for name in ("eps", "epsilon", "variance_epsilon") if hasattr(self.one, name)), "")

    def kernel(self) -> np.ndarray | None:
        """The kernel, with what it returns in front."""
        if self.is_torch:
            weight = getattr(self.one, "weight", None)
            fit = (
                isinstance(weight, nn.Parameter)
                and weight.ndim > 1
                and not isinstance(self.one, nn.Embedding)
            )
            return weight.detach().numpy().copy() if fit else None
        kernel = getattr(self.one, "kernel", None)
        return np.moveaxis(kernel.numpy(), -1, 0).copy() if hasattr(kernel, "numpy") else None

    def set_kernel(self, value: np.ndarray) -> None:
        if self.is_torch:
            with torch.no_grad():
                self.one.weight.copy_(torch.tensor(np.ascontiguousarray(value)))
        else:
            self.one.kernel.assign(np.moveaxis(value, 0, -1))


def layers_of(model: Any) -> list[Layer]:
    if isinstance(model, nn.Module):
        return [Layer(path, one) for path, one in model.named_modules() if not list(one.children())]
    return [Layer(one.name, one) for one in model.layers]


def make_faulty(name: str, count: int, seed: int) -> Made:
    """The real port with faults in layers that lie apart; the output shows each by itself."""
    from .real import output

    made, rng = make(name), np.random.default_rng(seed)
    x = made.x[1] if isinstance(made.x, tuple) else made.x
    layers = [one for one in layers_of(made.b) if one.epsilon() or one.kernel() is not None]
    clean, planted, taken = output(made.b, x), [], set[int]()
    scale = float(np.sqrt(np.mean(np.square(clean))))
    for place in map(int, rng.permutation(len(layers))):
        if {place - 2, place - 1, place, place + 1, place + 2} & taken:
            continue
        change = _change(layers[place], rng)
        if change is None:
            continue
        kind, apply, undo = change
        apply()
        alone = output(made.b, x)
        undo()
        if not np.abs(alone - clean).max() > 1e-4 * scale:
            continue
        taken.add(place)
        planted.append((kind, layers[place].path, apply))
        if len(planted) == count:
            break
    if not planted:
        raise NoEffect("no layer in which a fault shows")
    for _, _, apply in planted:
        apply()
    faults = tuple(
        Planted(
            kind,
            frozenset((path,)),
            causes=KINDS[kind].causes,
            words=KINDS[kind].words,
            true=KINDS[kind].true,
        )
        for kind, path, _ in planted
    )
    return made._replace(planted=faults)


Change = tuple[str, Callable[[], Any], Callable[[], Any]]


def _change(layer: Layer, rng: np.random.Generator) -> Change | None:
    """A fault of this layer: its kind, how it is made, and how it is taken back."""
    kernel, epsilon = layer.kernel(), layer.epsilon()
    if kernel is None:
        own = getattr(layer.one, epsilon)
        return "epsilon", lambda: setattr(layer.one, epsilon, 0.3), lambda: setattr(layer.one, epsilon, own)
    kind = str(
        rng.choice(
            [
                "scaled kernel",
                "one channel",
                "one value",
                "rows permuted",
                "flipped kernel",
                "rounded weights",
            ]
        )
    )
    changed = kernel.copy()
    if kind == "scaled kernel":
        changed *= 2
    elif kind == "one channel":
        changed[rng.integers(len(changed))] = kernel.std() * rng.normal(size=kernel.shape[1:])
    elif kind == "one value":
        changed[rng.integers(len(changed))].reshape(-1)[0] += 20 * kernel.std()
    elif kind == "rows permuted":
        changed = np.roll(changed, 1, 0)
    elif kind == "rounded weights":
        unit = np.abs(kernel).max() / 7
        changed = np.round(kernel / unit) * unit
    elif layer.is_torch and kernel.ndim == 4 and kernel.shape[-1] > 1:
        changed = kernel[..., ::-1, ::-1]
    else:
        return None
    changed = np.ascontiguousarray(changed, np.float32)
    return kind, lambda: layer.set_kernel(changed), lambda: layer.set_kernel(kernel)
