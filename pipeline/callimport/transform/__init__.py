"""Turn canonical rows into valid calls, from files and settings only. What fails becomes a reject."""
