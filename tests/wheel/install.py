"""Install the one wheel of a folder into the environment that runs this script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

(wheel,) = Path(sys.argv[1]).glob("*.whl")
subprocess.run(
    [sys.executable, "-m", "pip", "install", "--quiet", "--force-reinstall", str(wheel)], check=True
)
