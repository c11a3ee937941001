"""A recipe: one fully specified training configuration, as a frozen tree that is checked when it is built."""
