"""Say what the columns of a phone system mean: rows become canonical rows."""
