"""Numbers over data: health, statistics, similarity, training."""
