"""Limits of keys and tenants: what a turn may take, held before anybody is asked for it. What is at rest of it is
`core.storage.Meters`.
"""
