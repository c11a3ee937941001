"""Early stopping: which trials go on after an epoch, which stop, which wait. The state is nothing but recorded values."""
