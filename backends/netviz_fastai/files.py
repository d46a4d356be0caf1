"""Opens what ``Learner.export`` writes."""

from __future__ import annotations

from pathlib import Path

import torch
from fastai.learner import Learner

from netviz_core.backend_api import FileFormatError


def load_learner(path: Path, trust: bool = False) -> Learner:
    """Load a ``.pkl`` file as the Learner that was exported, on the CPU.

    Parameters
    ----------
    path : pathlib.Path
    trust : bool
        The file is a pickle, which can run any code; so the caller must vouch for it.

    Raises
    ------
    FileFormatError
        If the file is no exported Learner, or `trust` is not given.
    """
    if not trust:
        raise FileFormatError(
            f"{str(path)!r} is a pickle, as fastai exports its Learners, and loading it lets the file run code; "
            f"if you trust where it comes from, say trust=True (--trust on the command line)"
        )
    try:
        learner = torch.load(path, map_location="cpu", weights_only=False)
    except AttributeError as error:
        raise FileFormatError(
            f"{str(path)!r} needs a class or function that is not there: {error}; define or import what the "
            f"Learner was made with, then load it again"
        ) from error
    except ImportError as error:
        raise FileFormatError(
            f"{str(path)!r} needs a module that cannot be imported: {error}; install it, then load it again"
        ) from error
    except Exception as error:
        raise FileFormatError(
            f"{str(path)!r} could not be loaded as a Learner; was it written whole, by learner.export? {error}"
        ) from error
    if not isinstance(learner, Learner):
        raise FileFormatError(
            f"{str(path)!r} holds a {type(learner).__name__} and no Learner; give a file that learner.export wrote"
        )
    learner.dls.cpu()
    return learner
