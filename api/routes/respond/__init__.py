"""Routes for the response to an incident: alerts, runs, approvals, containments, tasks."""
