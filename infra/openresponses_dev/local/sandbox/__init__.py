"""Lambda on this machine: each function a child process behind the Runtime API."""
