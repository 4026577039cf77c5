"""Typed async client of Etapa's gRPC services.

>>> from etapa_client import EtapaClient
"""

from __future__ import annotations

from etapa_client.client import EtapaClient
from etapa_client.errors import EtapaError
from etapa_client.upload import MediaSource, Upload, Url

__all__ = ["EtapaClient", "EtapaError", "MediaSource", "Upload", "Url"]
