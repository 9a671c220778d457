"""Feed the program mutated files and answers, and judge what it says."""
