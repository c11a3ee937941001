"""Population-based training: trials that go on from other trials' checkpoints with changed values."""
