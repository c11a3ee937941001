"""Models at work: whether images of the field are like those trained on, and correcting their labels."""
