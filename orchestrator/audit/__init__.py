"""The audit trail: recorded events, sealed into a signed chain that anyone can verify offline."""
