"""The search: which trial runs next, what becomes of it, and the record of it all. Knows nothing of Ray."""
