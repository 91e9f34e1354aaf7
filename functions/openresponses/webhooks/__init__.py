"""Webhooks: telling a tenant's endpoints how its responses ended."""
