"""The load, in processes of its own."""
