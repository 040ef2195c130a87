"""How do people hear of what needs them? Messages by e-mail and Slack, put into an outbox, sent by the worker."""
