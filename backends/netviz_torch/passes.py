"""A pass of netviz' own, in evaluation mode, leaves a model as it came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from torch import nn

from netviz_core.backend_api import NetvizError

from .inputs import check_runnable, explain, prepare
from .state import unchanged
from .unwrap import unwrapped
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
        try:
            return module(*args, **kwargs)
        except NetvizError:
            raise
        except Exception as error:
            to_blame = explain(error, module, (*args, *kwargs.values()))
            if to_blame is not None:
                raise to_blame from error
            raise

    with unchanged(watch, module, args, kwargs):
        yield module, forward
