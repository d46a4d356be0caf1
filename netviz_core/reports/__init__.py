"""One page for a model: what it is made of, whether it is healthy, and what is in it."""
