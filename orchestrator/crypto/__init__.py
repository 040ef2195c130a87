"""Keys, encryption, signatures and tokens: the only package that uses cryptographic primitives."""
