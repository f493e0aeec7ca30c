"""Files of items and pairs, and the batches drawn from them."""
