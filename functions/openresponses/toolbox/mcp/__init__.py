"""Tools of MCP servers: a request's own, and those that the operator has set up."""
