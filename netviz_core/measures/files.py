"""Files of statistics: a header and arrays in NumPy's npz format, written whole and read without running code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..words.errors import FileFormatError
from ..words.whole_files import replace_file, require_no_picture

if TYPE_CHECKING:
    from pathlib import Path

Array = np.ndarray[Any, Any]


def save_arrays(path: str | Path, what: str, header: dict[str, Any], arrays: Iterable[Array]) -> None:
    """Write to exactly `path`; a file that exists is replaced.

    Raises
    ------
    InputError
        If the path is that of a picture.
    OSError
        If it cannot be written; a file that was there stays as it was.
    """
    require_no_picture(path, f"the numbers of {what}", ".heatmap().save(path)")
    numbered = {str(number): array for number, array in enumerate(arrays)}
    described = json.dumps({"format": _format(what), "arrays": len(numbered), **header})
    written = io.BytesIO()
    np.savez_compressed(written, allow_pickle=False, header=np.array(described), **numbered)
    replace_file(path, lambda unfinished: unfinished.write_bytes(written.getvalue()))


@contextmanager
def loaded_arrays(path: str | Path, what: str) -> Iterator[tuple[dict[str, Any], list[Array]]]:
    """The header and arrays that `save_arrays` wrote; what is wrong with them in the context is said of the file.

    Raises
    ------
    FileFormatError
        If the file holds something else.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            header = json.loads(str(arrays["header"]))
            if header["format"] != _format(what):
                raise KeyError(header["format"])
            yield header, [arrays[str(number)] for number in range(header["arrays"])]
    except (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"{str(path)!r} holds no {what} that netviz wrote: {error}") from error


def _format(what: str) -> str:
    return f"netviz {what} 2"
