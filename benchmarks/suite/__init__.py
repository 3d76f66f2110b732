"""The benchmark suite: groups of measured rows, and the table made of them."""
