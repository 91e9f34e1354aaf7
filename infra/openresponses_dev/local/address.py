"""Where the local cloud is, and the key that the repository's example events carry."""

LOOPBACK = "127.0.0.1"
DEV_PORT = 8080
"""Where the local cloud listens unless --port says otherwise."""
DEV_URL = f"http://{LOOPBACK}:{DEV_PORT}"

KEY_OF_EVENTS = "or_localexample_ThisIsNotASecretItIsForLocalInvocationsOnly"
"""What the events of this repository carry; valid nowhere but where it is asked to be."""
