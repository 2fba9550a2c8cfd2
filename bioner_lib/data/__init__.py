"""Files -> sentences -> batches."""
