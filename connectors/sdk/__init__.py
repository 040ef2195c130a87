"""The connector SDK: what a vendor's package imports from this project, besides the domain."""
