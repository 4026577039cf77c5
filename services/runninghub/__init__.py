"""The provider: its client, its wire forms, its errors and what they mean.

Knows no service. `verdicts` and the modules below it are pure; only `client` does I/O.
"""
