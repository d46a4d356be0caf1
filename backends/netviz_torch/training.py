"""Statistics of layers, weights and gradients while a loop in plain PyTorch trains a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.optim import Optimizer

from netviz_core.backend_api import LayerSelection, TrainingHistory, TrainingWatch


@contextmanager
def watch_training(
    model: nn.Module, optimizer: Optimizer, *, every: int = 50, layers: LayerSelection = "*"
) -> Iterator[TrainingHistory]:
    """Look at a network's activations, weights and gradients while the loop within trains it.

    Parameters
    ----------
    model : torch.nn.Module
    optimizer : torch.optim.Optimizer
        Its ``step()`` is what counts as a step.
    every : int
        Look at every so many steps, the first included.
    layers : str, list of str, or callable
        Which layers; ``"*"`` means all but containers.

    Yields
    ------
    TrainingHistory
        It grows as the loop goes on, and stays when the context is closed.

    Notes
    -----
    At a step that is looked at, the activations are those of all passes since the step before, taken
    together: of every part of a batch whose gradients are accumulated, and of a validation that lies
    between. Gradients are those that the optimizer is given; weights are as they were before it changed
    them. A step that a gradient scaler leaves out does not count.

    Examples
    --------
    >>> import torch
    >>> from netviz_torch import watch_training
    >>> model = torch.nn.Linear(3, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with watch_training(model, optimizer, every=2) as history:
    ...     for _ in range(4):
    ...         optimizer.zero_grad()
    ...         model(torch.ones(5, 3)).square().mean().backward()
    ...         optimizer.step()
    >>> history.steps
    [0, 2]
    """
    watch = TrainingWatch(model, every=every, layers=layers)

    def before_step(
        optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is None:
            watch.after_backward()
            return None
        # The pass is yet to be made, perhaps several times: the first is what is looked at.
        noticed = _noticing_first(closure, watch.after_backward)
        return (args[0], *args[2:]), {**kwargs, "closure": noticed}

    hooks = []
    try:
        hooks.append(optimizer.register_step_pre_hook(before_step))
        hooks.append(optimizer.register_step_post_hook(lambda *_: watch.before_pass()))
        watch.before_pass()
        yield watch.history
    finally:
        for hook in hooks:
            hook.remove()
        watch.close()


def _noticing_first(closure: Any, notice: Any) -> Any:
    """The same closure, that says when it has been called for the first time."""
    waiting = [notice]

    def noticed() -> Any:
        loss = closure()
        if waiting:
            waiting.pop()()
        return loss

    return noticed
