"""The local cloud: the template's functions and services, run on this machine."""
