"""What a call and a communication must look like. Knows nothing of callimport."""
