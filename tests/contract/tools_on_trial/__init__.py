"""Tools that do what a tool should not, to see that a response survives them."""
