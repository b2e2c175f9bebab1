"""How well the models tell people from attacks, on pictures that somebody else has labelled."""
