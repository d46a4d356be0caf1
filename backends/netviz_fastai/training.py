"""Statistics of layers, weights and gradients while a Learner trains its model."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastai.callback.core import Callback
from fastai.learner import Learner

from netviz_core.backend_api import InputError, LayerSelection, TrainingHistory, TrainingWatch


class NetvizCallback(Callback):
    """Keeps statistics of activations, weights and gradients while a Learner is trained.

    Parameters
    ----------
    every : int
        Look at every so many steps of the optimizer, the first included.
    layers : str, list of str, or callable
        Which layers; ``"*"`` means all but containers.

    Notes
    -----
    Nothing is looked at during validation and ``lr_find``. Several calls of ``fit`` fill one history, as
    long as the Learner's model is the same. Where gradients are accumulated over several batches,
    the activations are those of the last. As with fastai's `Recorder`, what was seen is not exported.

    Examples
    --------
    >>> learner.fit(1, cbs=NetvizCallback(every=50))  # doctest: +SKIP
    >>> learner.netviz.history.heatmap("std").plot()  # doctest: +SKIP
    """

    order = 100  # its before_step comes after those that unscale, accumulate or clip gradients
    run_valid = False
    _stateattrs = ("_watch", "_watched")

    def __init__(self, every: int = 50, layers: LayerSelection = "*") -> None:
        super().__init__()
        self.every, self.layers = every, layers
        self._init_state()

    def _init_state(self) -> None:  # fastai calls it for a callback that comes out of a file, too
        super()._init_state()
        self._watch: TrainingWatch | None = None
        self._watched: Any = None

    @property
    def history(self) -> TrainingHistory:
        """What has been seen so far.

        Raises
        ------
        InputError
            Before the first training.
        """
        if self._watch is None:
            raise InputError("nothing has been seen so far; train the Learner with this callback first")
        return self._watch.history

    def before_fit(self) -> None:
        """Look at training alone: not at the search for a learning rate, nor at predictions."""
        self.run = not hasattr(self.learn, "lr_finder") and not hasattr(self.learn, "gather_preds")

    def before_train(self) -> None:
        """Get ready for the first batch of an epoch."""
        if self._watch is None or self._watched is not self.learn.model:
            self._watch = TrainingWatch(self.learn.model, self.every, self.layers)
            self._watched = self.learn.model
        self._get_ready()

    def before_step(self) -> None:
        """Read weights and gradients, before the optimizer changes them."""
        if self._watch is not None:
            self._watch.after_backward()

    def after_batch(self) -> None:
        """Get ready for the next batch."""
        self._get_ready()

    def after_train(self) -> None:
        """Expect no more batches."""
        self.learn.__dict__.pop("_do_one_batch", None)

    def _get_ready(self) -> None:
        """Listen to the coming batch, if its step is due.

        fastai has no event for a pass that fails or is interrupted, so the batch itself is wrapped.
        """
        if self._watch is not None and self._watch.is_due:
            self.learn._do_one_batch = partial(_heard, self.learn, self._watch)


def _heard(learner: Learner, watch: TrainingWatch) -> None:
    """Let a Learner do one batch and listen; whatever happens, nobody listens afterwards."""
    del learner._do_one_batch
    watch.before_pass()
    try:
        learner._do_one_batch()
    finally:
        watch.close()
