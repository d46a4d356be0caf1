"""Holds netviz' values against the raw framework on published architectures, with random weights.

    python benchmarks/published_architectures.py [part of a name …]

Each line is a network; each column a question: ``ok`` where the values are those that plain PyTorch gives (or,
for `graph` and `health`, where there is an answer), ``seen`` where there is nothing by hand to hold them against,
``-`` where netviz refuses in a sentence, which is listed at the end, ``WRONG`` and ``ERROR`` where it should not be.
Exits with 1 if there is one of these.

Capture is held against hooks by hand, the summary's total against the parameters, attention against what the model
returns with ``output_attentions``, and Grad-CAM against autograd by hand at the layer that netviz chose.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

import netviz_core as nv
from netviz_core.backend_api import Recorder
from tests.architectures import from_timm, from_torchvision, from_transformers, hybrids

WITH_PLACES = (hybrids.IMAGE, from_torchvision.IMAGE, from_transformers.IMAGE, from_timm.IMAGE)
WITHOUT = (hybrids.SEQUENCE, from_transformers.TEXT)


class NotComparable(Exception):
    """There is nothing by hand to hold the values against."""


def main() -> int:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    tally: Counter[str] = Counter()
    refused: list[str] = []
    print(f"{'':44}{''.join(f'{name:11}' for name in QUESTIONS)}")
    for architecture in (one for group in (*WITH_PLACES, *WITHOUT) for one in group):
        if not any(part in architecture.name for part in sys.argv[1:] or [""]):
            continue
        model, x = architecture.build(), architecture.inputs(2)
        cells = []
        for name, ask in QUESTIONS.items():
            if name == "cam" and not any(architecture in group for group in WITH_PLACES):
                cells.append("")
                continue
            said = answered(ask, model, x)
            cells.append(said.partition(":")[0])
            if said.startswith(("-", "WRONG", "ERROR")):
                refused.append(f"{architecture.name}, {name}: {said}")
            tally[cells[-1]] += 1
        print(f"{architecture.name:44}{''.join(f'{cell:11}' for cell in cells)}", flush=True)
    print("\n" + "\n".join(refused))
    print("\n" + ", ".join(f"{count} {word or 'not asked'}" for word, count in sorted(tally.items())))
    return int(bool(tally["WRONG"] or tally["ERROR"]))


def answered(ask: Callable[[nn.Module, Any], bool], model: nn.Module, x: Any) -> str:
    try:
        return "ok" if ask(model, x) else "WRONG: not what PyTorch gives"
    except NotComparable:
        return "seen"
    except nv.NetvizError as error:
        return f"-: {error}"
    except Exception as error:
        return f"ERROR: {type(error).__name__}: {error}"


def called(model: nn.Module, x: Any, **more: Any) -> Any:
    if isinstance(x, dict):
        return model(**x, **more)
    return model(*x, **more) if isinstance(x, tuple) else model(x, **more)


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether values are the same in any order of axes, to the rounding of another path through a layer."""
    scale = np.abs(expected).max(initial=0.0)
    found, expected = np.sort(found, None), np.sort(expected, None)
    return found.shape == expected.shape and np.allclose(
        found, expected, rtol=1e-5, atol=1e-6 * scale, equal_nan=True
    )


def capture(model: nn.Module, x: Any) -> bool:
    """What hooks by hand see of every module that returns one tensor, copied before anything can overwrite it."""
    seen: dict[str, list[torch.Tensor]] = {}
    handles = [
        module.register_forward_hook(
            lambda module, args, output, path=path: (
                seen.setdefault(path, []).append(output.detach().clone())
                if isinstance(output, torch.Tensor)
                else None
            )
        )
        for path, module in model.named_modules()
    ]
    with torch.no_grad():
        called(model, x)
    for handle in handles:
        handle.remove()
    captured = nv.capture(model, x)
    for path, outputs in seen.items():
        if captured.coverage[path].status != "captured":
            raise nv.UnsupportedError(f"layer {path!r}: {captured.coverage[path].reason}")
        for call, output in enumerate(outputs):
            found = captured[path if len(outputs) == 1 else f"{path}:{call}"].values
            if not close(found, output.numpy()):
                return False
    return True


def summary(model: nn.Module, x: Any) -> bool:
    return nv.summary(model, x).total_parameters == sum(one.numel() for one in model.parameters())


def graph(model: nn.Module, x: Any) -> bool:
    found = nv.graph(model, x)
    return len(found.nodes) > 2 and any(
        node.id in {edge.target for edge in found.edges} for node in found.nodes
    )


def health(model: nn.Module, x: Any) -> bool:
    return nv.health(model, x, progress=False).first_nonfinite is None


def attention(model: nn.Module, x: Any) -> bool:
    """The weights that the model itself returns are among those that netviz sees."""
    network = nv.wrap(model)
    recorder = Recorder(network.layers.values())
    network.adapter.attention(network.native, x, recorder)
    seen = [slot.get().values for slot in recorder.slots]
    if not seen:
        raise NotComparable
    try:
        with torch.no_grad():
            output = called(model, x, output_attentions=True)
    except TypeError as error:
        raise NotComparable from error
    returns_scores = type(model).__name__.startswith("SqueezeBert")  # what goes into the softmax
    own = [
        (part.softmax(-1) if returns_scores else part).numpy()
        for name, parts in output.items()
        if name.endswith("attentions") and parts is not None
        for part in parts
        if isinstance(part, torch.Tensor)
    ]
    if not own:
        raise NotComparable
    return all(
        any(a.size == b.size and np.allclose(np.sort(a, None), np.sort(b, None), atol=1e-6) for b in seen)
        for a in own
    )


def cam(model: nn.Module, x: Any) -> bool:
    """Grad-CAM at the layer that netviz chose, by autograd, where what that returns is maps of every sample."""
    view = nv.cam(model, x, target=1)
    kept: list[torch.Tensor] = []
    handle = model.get_submodule(view.layer).register_forward_hook(
        lambda module, args, output: kept.append(output)
    )
    output = called(model, x)
    handle.remove()
    scores = output if isinstance(output, torch.Tensor) else output.logits
    maps = kept[-1]
    if (
        not isinstance(maps, torch.Tensor)
        or maps.shape[:1] + maps.shape[2:] != view.maps.shape
        or scores.ndim != 2
    ):
        raise NotComparable
    (gradient,) = torch.autograd.grad(scores[:, 1].sum(), maps, allow_unused=True)
    if gradient is None:  # an in-place layer went on with it
        raise NotComparable
    expected = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).clamp(min=0).detach().numpy()
    return bool(np.allclose(view.maps, expected, atol=1e-5 * max(expected.max(), 1e-6)))


QUESTIONS: dict[str, Callable[[nn.Module, Any], bool]] = {
    "capture": capture,
    "summary": summary,
    "graph": graph,
    "health": health,
    "attention": attention,
    "cam": cam,
}

if __name__ == "__main__":
    sys.exit(main())
