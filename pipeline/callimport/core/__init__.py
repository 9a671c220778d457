"""What most rooms use: models, errors, settings, clock, signals, files, phones, privacy."""
