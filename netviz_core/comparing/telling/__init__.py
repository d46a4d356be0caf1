"""What a comparison says: in words, tables, pages and figures."""
