"""Real networks: those of keras.applications against torchvision's and timm's, transformers in two implementations."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import torch
from torch import nn

import netviz_core as nv

from ..torchvision_models import models
from .judging import Made, WrongRecipe

L = keras.layers
SIZE = 64


def lively(model: nn.Module, seed: int = 0) -> nn.Module:
    """Statistics, scales, and biases that are not the trivial ones."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
            if getattr(module, "running_var", None) is not None:
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
            if isinstance(weight, nn.Parameter) and weight.ndim == 1:
                weight.uniform_(0.7, 1.3)
            if isinstance(bias, nn.Parameter):
                bias.normal_(0, 0.1)
    return model.eval()


def same_order(a: nn.Module, b: nn.Module) -> None:
    """Give b the weights of a: each the next of its form that is left."""
    sources = [(name, value) for name, value in a.state_dict().items() if "num_batches" not in name]
    left = [(name, value) for name, value in b.state_dict().items() if "num_batches" not in name]
    with torch.no_grad():
        for name, value in sources:
            place = next((n for n, (_, other) in enumerate(left) if fits(other, value)), None)
            if place is None:
                raise WrongRecipe(f"nothing of the form {tuple(value.shape)} for {name} is left")
            other = left.pop(place)[1]
            other.copy_(value.reshape(other.shape))


def fits(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.numel() == other.numel() and one.shape[:1] == other.shape[:1]


def pictures(size: int = SIZE, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).random((count, size, size, 3)).astype(np.float32)


def checked(a: Any, b: Any, x: Any, limit: float = 1e-4, **settings: Any) -> Made:
    """The pair, once the frameworks themselves have shown that it is one."""
    want, got = (
        output(model, one) for model, one in zip((a, b), x if isinstance(x, tuple) else (x, x), strict=True)
    )
    scale = float(np.sqrt(np.mean(np.square(want))))
    if not np.abs(want - got).max() <= limit * max(scale, 1e-3):
        raise WrongRecipe(
            f"outputs are {np.abs(want - got).max():.1e} apart, of numbers of the size {scale:.1e}"
        )
    return Made(a, b, x, settings=settings)


def output(model: Any, x: Any) -> np.ndarray:
    if not isinstance(model, nn.Module):
        values = x.canonical().values.transpose(0, 2, 3, 1) if isinstance(x, nv.AxisArray) else x
        return np.asarray(keras.ops.convert_to_numpy(model(values, training=False)), np.float32)
    if isinstance(x, nv.AxisArray):
        x = torch.tensor(x.canonical().values)
    with torch.no_grad():
        value = (
            model(**x)
            if isinstance(x, dict)
            else model(x if isinstance(x, torch.Tensor) else torch.tensor(x))
        )
    if hasattr(value, "to_tuple"):
        value = next(one for one in value.to_tuple() if isinstance(one, torch.Tensor))
    return (value[0] if isinstance(value, tuple | list) else value).numpy()


# torchvision against timm

PAIRS = {
    "resnet18": "resnet18", "resnet50": "resnet50", "densenet121": "densenet121",
    "mobilenet_v2": "mobilenetv2_100", "efficientnet_b0": "efficientnet_b0", "convnext_tiny": "convnext_tiny",
    "mobilenet_v3_small": "mobilenetv3_small_100", "mobilenet_v3_large": "mobilenetv3_large_100",
    "mnasnet0_5": "mnasnet_050", "resnext50_32x4d": "resnext50_32x4d",
    "inception_v3": "inception_v3",
}  # fmt: skip


def from_torchvision(name: str, twin: str) -> Made:
    import timm  # it needs torchvision, which has to be imported in a way of its own

    torch.manual_seed(0)
    more = {"aux_logits": False, "init_weights": False} if name == "inception_v3" else {}
    a, b = lively(getattr(models, name)(weights=None, **more)), timm.create_model(twin).eval()
    for one, other in zip(norms(a), norms(b), strict=True):
        other.eps = one.eps
    same_order(a, b)
    x = torch.tensor(pictures(96 if name == "inception_v3" else SIZE).transpose(0, 3, 1, 2).copy())
    return checked(a, b, x)


def norms(model: nn.Module) -> list[Any]:
    return [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm)
    ]


# keras.applications


def by_copying(a: nn.Module, b: Any, scale: float = 1.0, size: int = SIZE, mapping: Any = None) -> Made:
    """keras.applications' own scaling of the input is a part of its model: it is given another one."""
    nv.copy_weights(lively(a), b, mapping)
    x = pictures(size)
    return checked(a, b, nv.images(x) if scale == 1.0 else (nv.images(x), nv.images(x * np.float32(scale))))


def efficientnet(name: str, twin: str, scale: float) -> Made:
    import timm

    torch.manual_seed(0)
    model = getattr(keras.applications, twin)(
        weights=None,
        input_shape=(SIZE, SIZE, 3),
        classifier_activation=None,
        **({} if scale != 1 else {"include_preprocessing": False}),
    )
    return by_copying(timm.create_model(name), model, scale)


def vgg(name: str, twin: str) -> Made:
    torch.manual_seed(0)
    a = getattr(models, name)(weights=None).features
    b = getattr(keras.applications, twin)(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    a = lively(nn.Sequential(a, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 5)))
    y = L.Dense(5, name="head")(L.GlobalAveragePooling2D(name="mean")(b.output))
    return by_copying(a, keras.Model(b.input, y))


def densenet(blocks: int = 121) -> Made:
    a = lively(getattr(models, f"densenet{blocks}")(weights=None))
    b = getattr(keras.applications, f"DenseNet{blocks}")(
        weights=None, input_shape=(SIZE, SIZE, 3), classifier_activation=None
    )
    return one_by_one(a, b, eps=1.001e-5)


def resnet50() -> Made:
    """Keras has the stride of a block in its first convolution."""
    a = models.resnet50(weights=None)
    for stage in (a.layer2, a.layer3, a.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    a.fc = nn.Identity()
    a = lively(a)
    for module in norms(a):
        module.eps = 1.001e-5
    b = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(SIZE, SIZE, 3), pooling="avg"
    )
    with torch.no_grad():
        for name in ("bn1", "bn2", "bn3"):
            for module in (module for path, module in a.named_modules() if path.endswith(name)):
                module.weight.mul_(0.7)
    _into_resnet(a, b)
    return checked(a, b, nv.images(pictures()))


def _into_resnet(a: nn.Module, b: Any) -> None:
    for path, module in a.named_modules():
        if not isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            continue
        parts = path.split(".")
        if len(parts) < 3:
            name = f"conv1_{'conv' if isinstance(module, nn.Conv2d) else 'bn'}"
        else:
            number = "0" if parts[2] == "downsample" else parts[2][-1]
            kind = "conv" if isinstance(module, nn.Conv2d) else "bn"
            name = f"conv{int(parts[0][-1]) + 1}_block{int(parts[1]) + 1}_{number}_{kind}"
        given(b.get_layer(name), module)


def given(layer: Any, module: nn.Module) -> None:
    """Give a Keras layer the weights of PyTorch's."""
    values = [value.numpy() for name, value in module.state_dict().items() if "num_batches" not in name]
    if isinstance(module, nn.Conv2d):
        order = (2, 3, 0, 1) if module.groups > 1 else (2, 3, 1, 0)
        values = [value.transpose(order) if value.ndim == 4 else value for value in values]
        if module.bias is None and len(layer.weights) == 2:
            values.append(np.zeros(module.out_channels, np.float32))
    elif isinstance(module, nn.Linear):
        values[0] = values[0].T
    layer.set_weights(values)


def one_by_one(a: nn.Module, b: Any, eps: float, size: int = SIZE) -> Made:
    """Layers of a kind stand in the same order in both."""
    for module in norms(a):
        module.eps = eps
    kinds = ((nn.Conv2d, L.Conv2D), (nn.BatchNorm2d, L.BatchNormalization), (nn.Linear, L.Dense))
    for ours, theirs in kinds:
        modules = [module for module in a.modules() if isinstance(module, ours)]
        layers = [layer for layer in b.layers if isinstance(layer, theirs)]
        for module, layer in zip(modules, layers, strict=True):
            given(layer, module)
    return checked(a, b, nv.images(pictures(size)))


APPLICATIONS: dict[str, Callable[[], Made]] = {
    "EfficientNetB0": partial(efficientnet, "tf_efficientnet_b0", "EfficientNetB0", 255),
    "EfficientNetB1": partial(efficientnet, "tf_efficientnet_b1", "EfficientNetB1", 255),
    "EfficientNetV2B0": partial(efficientnet, "tf_efficientnetv2_b0", "EfficientNetV2B0", 1.0),
    "VGG16": partial(vgg, "vgg16", "VGG16"),
    "VGG19": partial(vgg, "vgg19", "VGG19"),
    "DenseNet121": densenet,
    "ResNet50": resnet50,
}


def implementations(name: str) -> Made:
    """A model of transformers with eager attention against sdpa."""
    from tests.architectures import from_transformers

    recipes = [*from_transformers.TEXT, *from_transformers.IMAGE]
    recipe = next(one for one in recipes if one.name.split()[-1] == name)
    a = lively(recipe.build())
    b = copy.deepcopy(a)
    b.set_attn_implementation("sdpa")
    return checked(a, b, recipe.inputs(2))


def tested(name: str) -> Made:
    """Ports that the tests have, too: bidirectional layers and encoders of both frameworks."""
    from tests.all.comparing import ported

    made = getattr(ported, name)()
    return Made(made.in_torch, made.in_keras, made.x)
