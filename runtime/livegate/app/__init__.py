"""The composition root and the life of a server: built here, handed down, ended here."""
