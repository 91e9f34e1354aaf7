"""API Gateway on this machine: HTTP to proxy events, the authorizer, and answers as they are made."""
