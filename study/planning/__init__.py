"""Planning: a study file checked against spaces, datasets and earlier studies before anything is spent."""
