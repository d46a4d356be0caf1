"""A pass of netviz' own, in evaluation mode, leaves a model as it came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from torch import nn

from netviz_core.backend_api import NetvizError

from .inputs import check_runnable, explain, prepare
from .state import unchanged
from .tensors import is_distributed
from .unwrap import loaded_class, unwrapped
from .watch import Watch


@contextmanager
def evaluation(model: Any, inputs: Any, watch: Watch) -> Iterator[tuple[nn.Module, Callable[[], Any]]]:
    """Prepare a pass; when the context closes, all is put back as it was.

    Parameters
    ----------
    model : native model
    inputs : object
        See `netviz_core.backend_api.run`.
    watch : Watch
        To be active while the pass is made, and not any more when the context closes.

    Yields
    ------
    module : torch.nn.Module
        The user's own module within `model`.
    forward : callable
        Makes the pass and returns the module's output.
    """
    module = unwrapped(model)
    check_runnable(module)
    args, kwargs = prepare(module, inputs, watch.follower)

    def forward() -> Any:
        with suppress(NotImplementedError):  # an exported program has no modes
            module.eval()
        before, after = watch.hooks
        try:
            if before is not None:
                before(module, args, kwargs)
            output = module(*args, **kwargs)
            if after is not None:
                after(module, args, output)
            return output
        except NetvizError:
            raise
        except Exception as error:
            to_blame = explain(error, module, (*args, *kwargs.values()))
            if to_blame is not None:
                raise to_blame from error
            raise

    with unchanged(watch, module, args, kwargs), _spread_again(module):
        yield module, forward


@contextmanager
def _spread_again(module: nn.Module) -> Iterator[None]:
    """Let FSDP give back the weights that it gathers for a pass, where they were spread before."""
    kind = loaded_class("torch.distributed.fsdp", "FSDPModule")
    managed = [child for child in module.modules() if isinstance(child, kind)] if kind else []
    spread = [child for child in managed if any(map(is_distributed, _own_parameters(child, kind)))]
    try:
        yield
    finally:
        for child in spread:
            child.reshard()


def _own_parameters(module: nn.Module, kind: tuple[type, ...]) -> Iterator[nn.Parameter]:
    """The parameters of a module and of all within that no other module of a kind manages."""
    yield from module.parameters(recurse=False)
    for child in module.children():
        if not isinstance(child, kind):
            yield from _own_parameters(child, kind)
