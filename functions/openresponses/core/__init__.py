"""The product: what happens between a request and its last event. Knows no vendor, framework or cloud."""
