"""What outlives a worker: the event log, its readers, and taking over from a worker that died."""
