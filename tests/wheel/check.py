"""What an installed wheel brings: exactly these packages, entry points and files."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import PurePosixPath

PACKAGES = {
    "netviz_core",
    "netviz_torch",
    "netviz_keras",
    "netviz_fastai",
    "netviz_matplotlib",
    "netviz_plotly",
}
ENTRY_POINTS = {
    ("netviz.backends", "torch", "netviz_torch:TorchBackend"),
    ("netviz.backends", "keras", "netviz_keras:KerasBackend"),
    ("netviz.backends", "fastai", "netviz_fastai:FastaiBackend"),
    ("netviz.renderers", "matplotlib", "netviz_matplotlib:MatplotlibRenderer"),
    ("netviz.renderers", "plotly", "netviz_plotly:PlotlyRenderer"),
    ("netviz.loaders", ".keras", "netviz_keras.files:load_model"),
    ("netviz.loaders", ".h5", "netviz_keras.files:load_model"),
    ("netviz.loaders", ".pt2", "netviz_torch.files:load_exported"),
    ("netviz.loaders", ".pt", "netviz_torch.files:load_saved"),
    ("netviz.loaders", ".pth", "netviz_torch.files:load_saved"),
    ("netviz.loaders", ".pkl", "netviz_fastai.files:load_learner"),
    ("console_scripts", "netviz", "netviz_core.cli:main"),
}


def check() -> int:
    distribution = importlib.metadata.distribution("netviz-core")
    files = [PurePosixPath(str(file)) for file in distribution.files or []]
    packages = {file.parts[0] for file in files if file.suffix == ".py" and len(file.parts) > 1}
    assert packages == PACKAGES, packages
    found = {(point.group, point.name, point.value) for point in distribution.entry_points}
    assert found == ENTRY_POINTS, found ^ ENTRY_POINTS
    names = {str(file) for file in files}
    assert "netviz_core/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any("tests" in file.parts for file in files)

    import netviz_core

    assert netviz_core.__version__ == distribution.version
    assert netviz_core.get_renderer("matplotlib").name == "matplotlib"
    states = netviz_core.list_backends()
    assert {name: state.status for name, state in states.items()} == dict.fromkeys(
        ("torch", "keras", "fastai"), "missing dependency"
    )
    assert states["torch"].install == 'pip install "netviz-core[torch]"'
    command = subprocess.run(
        [sys.executable, "-m", "netviz_core", "--version"], capture_output=True, text=True
    )
    assert command.stdout.strip().endswith(distribution.version), command
    return len(files)


if __name__ == "__main__":
    print(f"{check()} files installed, as they should be")
