"""Read files into rows of text with their line numbers."""
