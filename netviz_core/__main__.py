"""``python -m netviz_core`` is the command ``netviz``."""

import sys

from .cli import main

sys.exit(main())
