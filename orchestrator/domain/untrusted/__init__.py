"""What others send, within bounds: decompressed once, and nested only so deep."""
