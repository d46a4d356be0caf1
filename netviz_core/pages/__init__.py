"""Pages of HTML that need nothing else: their frame, and graphs in them that unfold."""
