"""The guide for authors of backends names all that a backend may offer, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from netviz_core import backend_api
from netviz_core.testing.opt_in import OPT_IN, members_of

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "backends.md").read_text("utf-8")
TEMPLATE = ROOT / "examples" / "backend-template" / "template"


def test_every_opt_in_protocol_stands_in_the_table_with_its_methods_and_what_it_gives():
    rows = re.findall(r"^\| `(Supports\w+)` \| (.*?) \| (.+) \|$", GUIDE, flags=re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", methods)) for name, methods, _ in rows}
    assert told == {name: members_of(protocol) for name, protocol in OPT_IN.items()}
    assert all(len(gives) > 10 for *_, gives in rows)


def test_every_kind_of_layer_with_weights_of_its_own_names_stands_in_the_tables():
    named = set(re.findall(r"`(\w+)`", GUIDE)) | {"conv1d_transpose", "conv2d_transpose", "conv3d_transpose"}
    without = {"einsum_dense", "reshape", "merge", "input"}
    assert backend_api.KINDS - named == without


def test_words_for_hyperparameters_are_those_of_our_own_backends():
    table = GUIDE[GUIDE.index("| kind | config |") : GUIDE.index("An activation that a layer has built in")]
    words = {word for row in table.splitlines() for word in re.findall(r"`(\w+)`", row.partition(" | ")[2])}
    sources = [ROOT / "backends" / name / "config.py" for name in ("netviz_torch", "netviz_keras")]
    sources += (ROOT / "netviz_core" / "recomputing").glob("*.py")
    known = "".join(path.read_text("utf-8") for path in sources)
    assert len(words) > 30
    assert {word for word in words if f'"{word}"' not in known} == set()


def test_names_of_the_door_are_behind_it():
    imported = re.findall(r"`(?:netviz_core\.backend_api\.)?([A-Z][a-z]\w+)[(.`]", GUIDE)
    own = {"SklearnBackend", "DeprecationWarning", "Network"}
    assert {name for name in imported if name not in own} - set(backend_api.__all__) == set()


def test_code_in_the_guide_is_that_of_the_template():
    files = [path.read_text("utf-8") for path in TEMPLATE.rglob("*") if path.is_file()]
    for code in re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL):
        assert any(code in text for text in files), code
