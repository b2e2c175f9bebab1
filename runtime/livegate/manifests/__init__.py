"""Models as data: what a manifest may say, and where its files are found."""
