"""AWS: its clients, and the ports besides storage that need them. No module here imports the SDK when it is imported,
nor reads the environment.
"""
