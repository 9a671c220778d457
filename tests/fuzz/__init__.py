"""Give the program mutated files, hostile answers and signals, and judge what it does."""
