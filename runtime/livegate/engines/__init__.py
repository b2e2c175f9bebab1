"""What runs a network, who may run it now, and on which provider."""
