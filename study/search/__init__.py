"""Which configuration comes next, and which trial is not worth going on: the study's own state, without Ray."""
