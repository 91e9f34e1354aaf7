"""What the server is compared with. One module each: what an app does not import, it does not pay for."""
