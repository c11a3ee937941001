"""Figures of a study, each with the sentence that says what it shows and the table beside it."""
