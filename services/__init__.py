"""The deployed services of Etapa. Run one with `python -m services.<name>`."""
