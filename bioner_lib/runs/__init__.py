"""One configuration -> one row on disk, and how it is found again."""
