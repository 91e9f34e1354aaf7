"""What the dialects have in common. Knows none of them."""
