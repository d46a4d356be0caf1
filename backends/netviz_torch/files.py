"""Opens saved PyTorch models: what ``torch.export.save`` and ``torch.save`` write."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from netviz_core.backend_api import FileFormatError


def load_exported(path: Path, trust: bool = False) -> nn.Module:
    """Load a ``.pt2`` file as a module with the layers of the model that was exported.

    Parameters
    ----------
    path : pathlib.Path
    trust : bool
        PyTorch unpickles parts of these files and looks operators up by name, both of which
        can run code; so the caller must vouch for the file.

    Raises
    ------
    FileFormatError
        If the file is no exported program, or `trust` is not given.
    """
    if not zipfile.is_zipfile(path):
        raise FileFormatError(
            f"{str(path)!r} is not an exported PyTorch program, which is a zip archive; "
            f"was it written whole, by torch.export.save?"
        )
    if not trust:
        raise FileFormatError(
            f"loading {str(path)!r} lets the file run code, since PyTorch unpickles it; "
            f"if you trust where it comes from, say trust=True (--trust on the command line)"
        )
    try:
        return torch.export.unflatten(torch.export.load(path))
    except Exception as error:
        raise FileFormatError(
            f"{str(path)!r} could not be loaded as an exported PyTorch program: {error}"
        ) from error


def load_saved(path: Path, trust: bool = False) -> Any:
    """Load a ``.pt`` or ``.pth`` file: a state dict, or with `trust` whatever was saved.

    Tensors are mapped into memory and read when they are looked at.

    Raises
    ------
    FileFormatError
        If the file is damaged, or holds more than tensors and `trust` is not given.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        if trust:
            raise FileFormatError(f"{str(path)!r} is not a whole file of torch.save: {error}") from error
        raise FileFormatError(
            f"{str(path)!r} holds more than tensors, or is damaged, and opening it could run code; save the "
            f"state_dict() alone, or, if you trust where it comes from, say trust=True (--trust on the command line)"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise FileFormatError(f"{str(path)!r} is not a whole file of torch.save: {error}") from error
