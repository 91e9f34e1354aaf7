"""The `openresponses` command."""


def main() -> None:
    print("not yet")
