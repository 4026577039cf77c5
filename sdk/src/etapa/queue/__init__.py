"""Generated from protos/etapa by `make protos`. Do not edit."""
