"""Published architectures in small random configurations, and small hybrids, each with a batch of inputs.

What holds for every one of them (the two laws of `tests/torch/laws`) is tested; `benchmarks/published_architectures.py`
holds their values against the raw framework and prints a table.
"""

import benchmarks.torchvision_models  # noqa: F401 - before timm and transformers import torchvision; it says why
