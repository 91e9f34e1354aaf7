"""Stand-ins for the world outside, on loopback."""
