"""Everything a vendor's connector may import of ours."""
