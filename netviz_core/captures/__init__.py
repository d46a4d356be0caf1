"""One forward pass, and what it left."""
