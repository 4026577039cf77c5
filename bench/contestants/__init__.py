"""Contestants that need nothing but Etapa's own environment."""
