"""The normal form of an alert: class, severity, time, endpoints and observables."""
