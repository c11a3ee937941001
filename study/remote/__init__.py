"""Studies on another machine's cluster: submitting them, looking at them, and sending commands there."""
