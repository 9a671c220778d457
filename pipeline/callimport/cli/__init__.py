"""The command line: commands, their options, and the work of each command that is not an import."""
