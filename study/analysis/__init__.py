"""What a study taught, in numbers and sentences: no picture, and no page."""
