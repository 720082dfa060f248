"""The report of a run: one HTML page that needs nothing else, with its plots inside, and the figures as JSON."""
