"""Scenarios: one file each, with HELP, add_options(parser) and rows(bench, options)."""
