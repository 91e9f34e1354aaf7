"""Ours beside other servers that speak the Responses API: the same upstream behind each, in turns, on one machine."""
