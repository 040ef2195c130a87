"""Keys, boxes, signatures and tokens: the only place that touches cryptographic primitives."""
