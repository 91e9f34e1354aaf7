"""AWS clients and what is asked of them besides storage. Importing these modules imports no SDK, and none reads the
environment.
"""
