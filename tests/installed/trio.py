"""Not there where callimport is installed: see `rehearsal.started`."""

raise ImportError
