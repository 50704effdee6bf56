"""Tables in files: read row by row and written in parts, both in constant memory however long they are."""
