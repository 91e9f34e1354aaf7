"""HTTP requests to other servers, and the event streams that answer them. Knows no vendor and nothing of the core."""
