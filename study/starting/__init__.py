"""Starting: the configurations that a study tries before the sampler's own."""
