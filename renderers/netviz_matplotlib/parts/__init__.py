"""What several panels use: colour bars, ticks, texts, captions, row labels, mosaics."""
