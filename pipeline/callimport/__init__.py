"""callimport: historical call logs into the CRM, once, provably."""

__version__ = "0.1.0"
