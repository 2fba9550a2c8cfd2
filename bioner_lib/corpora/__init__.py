"""Files -> sentences with the types that they annotate."""
