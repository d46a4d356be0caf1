"""fastai's losses, sample by sample."""

from __future__ import annotations

from typing import Any

import torch
from fastai.layers import NoneReduce
from fastai.learner import Learner
from fastai.losses import BaseLoss, DiceLoss, FocalLoss, LabelSmoothingCrossEntropy
from torch import nn

from netviz_core.backend_api import InputError, LossReading

from .tensors import on_device, plain

_READS: dict[type, str] = {
    nn.CrossEntropyLoss: "logits",
    FocalLoss: "logits",
    LabelSmoothingCrossEntropy: "logits",
    DiceLoss: "logits",
    nn.NLLLoss: "log_probabilities",
    nn.BCEWithLogitsLoss: "binary_logits",
    nn.BCELoss: "binary_probabilities",
}


def is_fastais(loss: object) -> bool:
    """Whether a loss, or a class that it stems from, is defined by fastai."""
    return any(cls.__module__.partition(".")[0] == "fastai" for cls in type(loss).__mro__)


def losses(loss: Any, output: torch.Tensor, targets: Any) -> LossReading:
    """The loss of each sample, as ``Learner.get_preds(with_loss=True)`` takes it.

    Parameters
    ----------
    loss : one of fastai's losses
        Unreduced; what is left of other axes than the batch is averaged.
    output : torch.Tensor
    targets : tensor, array, or tuple of them

    Raises
    ------
    InputError
        If there is not one for each sample.
    """
    parts = targets if isinstance(targets, tuple) else (targets,)
    wanted = on_device(tuple(map(torch.as_tensor, parts)), output.device)
    count = len(output)
    with torch.no_grad(), NoneReduce(loss) as unreduced:
        try:
            values = plain(unreduced(output, *wanted))
        except (TypeError, ValueError, RuntimeError, IndexError, AssertionError) as error:
            shapes = ", ".join(str(tuple(part.shape)) for part in wanted)
            raise InputError(
                f"{loss!r} cannot be taken of an output of shape {tuple(output.shape)} and targets of shape "
                f"{shapes}: {error}"
            ) from error
    if not values.numel() or values.numel() % count:
        raise InputError(
            f"{loss!r} gave {values.numel()} values for {count} samples; it must give one for each, as fastai's own "
            f"losses do with reduction='none'"
        )
    return LossReading(values.reshape(count, -1).float().mean(1).cpu().numpy(), reading_of(loss))


def reading_of(loss: object) -> str:
    """How a loss reads the output, see `netviz_core.backend_api.LossReading`."""
    inner = loss.func if isinstance(loss, BaseLoss) else loss
    return next((_READS[cls] for cls in type(inner).__mro__ if cls in _READS), "values")


def prediction(learner: Learner, output: Any) -> Any:
    """What the Learner's loss gets to see of what its model returned.

    Recurrent models return their hidden states besides, which a callback of fastai's takes off.
    """
    if isinstance(output, (list, tuple)) and any(type(cb).__name__ == "RNNCallback" for cb in learner.cbs):
        first = output[0]
        return first[-1] if isinstance(first, (list, tuple)) else first
    return output
