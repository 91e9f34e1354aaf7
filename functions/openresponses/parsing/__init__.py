"""From what a client sent to a request, whatever it came by. An error names the wrong field."""
