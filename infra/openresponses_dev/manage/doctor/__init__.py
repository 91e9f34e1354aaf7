"""A doctor: what is wrong with a deployment, and the command that mends it."""
