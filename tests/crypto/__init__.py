"""Keys, boxes, signatures, tokens."""
