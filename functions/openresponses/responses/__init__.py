"""What can be asked of this server: make a response, read it, follow it, cancel it, delete it."""
