"""The webhook gateway: keeps every callback to the byte before it answers, and passes it on."""

from __future__ import annotations
