"""CrowdStrike Falcon, through its OAuth2 REST API."""
