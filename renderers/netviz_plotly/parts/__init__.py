"""What several panels use: cells of a heat map, places on a figure, texts, options."""
