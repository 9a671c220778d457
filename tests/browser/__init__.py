"""The pages that people look at, in a real browser: `make test-browser`."""
