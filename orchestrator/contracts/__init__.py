"""Messages that cross between the API, workflows and activities. Pure: both sides import them."""
