"""RunningHub for development and tests: its HTTP API, its faults on demand, a judge's log.

Apart from the other services: none imports it, and it imports only `services.runtime`. The wire
facts follow the project's RunningHub reference (written 2026-11-24 from public sources); where
sources disagree, the choice made here is named beside the code.
"""
