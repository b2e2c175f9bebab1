"""What becomes of a report: files, tables, the page."""
