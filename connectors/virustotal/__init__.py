"""VirusTotal, through its API v3."""
