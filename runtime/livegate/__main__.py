"""`python -m livegate`."""

from livegate.cli.main import entry

if __name__ == "__main__":
    entry()
