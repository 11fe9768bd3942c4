"""Data as people have them: a CSV's cells, columns, parts, and which columns matter."""
