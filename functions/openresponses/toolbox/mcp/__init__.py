"""Tools of MCP servers: a request's own, and those that the operator has set up. Imported as a request needs it.

`client` speaks both eras of the protocol, `json_rpc` is one exchange of it over HTTP, `parameters` what of a call goes
into headers, `results` what a model reads of an answer, `credentials` what must never be read, `listing` which tools a
model is offered, `servers` what the operator has set up. `source` puts them together.
Facts: modelcontextprotocol.io/specification, revisions 2026-07-28 and 2025-11-25, and the package `mcp` 2.3.0.
"""
