"""Which target answers a turn, and how its state is sealed."""
