"""What netviz costs, beside the peers: each module gives `CASES`, and `benchmarks.__main__` times them all alike."""
