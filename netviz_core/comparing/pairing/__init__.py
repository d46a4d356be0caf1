"""Which layers of two models correspond."""
