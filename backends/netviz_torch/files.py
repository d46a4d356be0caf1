"""Opens saved PyTorch models: what ``torch.export.save`` and ``torch.save`` write."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from netviz_core.backend_api import FileFormatError, decoding

_TRUST = "if you trust where it comes from, say trust=True (--trust on the command line)"


WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth")
"""What `save_weights` writes."""


def save_weights(model: nn.Module, path: Path, suffix: str) -> None:
    """Write a model's state dict to `path`; what several layers share is in a safetensors file once."""
    if suffix == ".safetensors":
        from safetensors.torch import save_model  # here, as it is of use to those alone who save

        save_model(model, str(path))
    else:
        torch.save(model.state_dict(), path)


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
    with decoding(path, "exported PyTorch program, as torch.export.save writes it,"):
        if not zipfile.is_zipfile(path):
            raise FileFormatError(
                f"{str(path)!r} is not an exported PyTorch program, which is a zip archive; "
                f"was it written whole, by torch.export.save?"
            )
        if not trust:
            raise FileFormatError(
                f"loading {str(path)!r} lets the file run code, since PyTorch unpickles it; {_TRUST}"
            )
        return torch.export.unflatten(torch.export.load(path))


def load_saved(path: Path, trust: bool = False) -> Any:
    """Load a ``.pt`` or ``.pth`` file: a state dict, or with `trust` whatever was saved.

    Tensors are mapped into memory and read when they are looked at.

    Raises
    ------
    FileFormatError
        If the file is damaged, or holds more than tensors and `trust` is not given.
    """
    with decoding(path, "file of torch.save"):
        try:
            return torch.load(path, map_location="cpu", weights_only=not trust, mmap=zipfile.is_zipfile(path))
        except (AttributeError, ImportError) as error:
            raise FileFormatError(
                f"{str(path)!r} needs code that is not there: {error}; define, import or install it, then load again"
            ) from error
        except Exception as error:
            if stranger := _stranger(path):
                raise FileFormatError(
                    f"{str(path)!r} was not written by torch.save: it is {stranger}; give what "
                    f"torch.save(model.state_dict(), path) writes"
                ) from error
            beyond = [] if trust else _beyond_tensors(path)
            if not beyond:
                raise
            raise FileFormatError(
                f"{str(path)!r} holds more than tensors ({', '.join(beyond[:4])}), and opening it could run code; "
                f"save the state_dict() alone, or, {_TRUST}"
            ) from error


def _stranger(path: Path) -> str:
    """What a file is that does not begin as PyTorch's do; empty for one that does."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start or start.startswith(b"PK"):
        return ""
    if not start.startswith(b"\x80"):
        return "neither a zip archive nor a pickle"
    magic = torch.serialization.MAGIC_NUMBER.to_bytes(10, "little")
    return "" if magic in start else "a pickle of something else"


def _beyond_tensors(path: Path) -> list[str]:
    """What a whole file has that PyTorch does not load unless it is trusted; nothing if it is damaged."""
    try:
        if not zipfile.is_zipfile(path):
            return _called(path)
        with zipfile.ZipFile(path) as archive:
            if any(member.endswith("constants.pkl") for member in archive.namelist()):
                return ["a TorchScript program"]
            for member in archive.namelist():
                if member.endswith("data.pkl"):
                    archive.read(member)  # raises if a byte has changed
        return sorted(map(str, torch.serialization.get_unsafe_globals_in_checkpoint(str(path))))
    except Exception:
        return []


def _called(path: Path) -> list[str]:
    """The classes and functions that a plain pickle, as PyTorch wrote before 1.6, names; it is not run."""
    found, strings = set(), [""]
    with path.open("rb") as file:
        for _ in range(4):  # two numbers and what the machine was like stand before the object
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name == "GLOBAL":
                    found.add(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL":
                    found.add(".".join(strings[-2:]))
                elif isinstance(argument, str):
                    strings.append(argument)
            if file.read(1) != b"\x80":
                break
            file.seek(-1, 1)
    return sorted(name for name in found if not name.startswith(("torch.", "collections.OrderedDict")))
