"""`tocsin demo`: real alerts, people who decide, contained hosts, and a check of the outcome."""
