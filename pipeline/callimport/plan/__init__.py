"""Decide what to do with each call. Imports core alone."""
