"""What every service stands on: servers, database, batches, blobs, errors, logs, traces.

Knows no service.
"""
