"""Decide what to do with each call. Imports core alone. So far: what an update of a call would say."""
