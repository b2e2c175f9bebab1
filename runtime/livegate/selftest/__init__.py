"""`livegate selftest`: what this very box can do, each claim tried out, as a report that can be sent."""
