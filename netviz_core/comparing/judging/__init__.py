"""Whether what two corresponding layers returned differs, and where that began."""
