"""What people get of a search: the report, files, source code, pictures."""
