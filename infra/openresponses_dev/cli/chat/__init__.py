"""`openresponses chat`: a conversation in the terminal, over plain HTTP and SSE."""
