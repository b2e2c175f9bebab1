"""From a Frame to the tensor that a network reads."""
