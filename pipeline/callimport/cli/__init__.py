"""The command line: commands and their options, one file a command group."""
