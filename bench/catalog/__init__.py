"""The benchmark's own catalogue, given to a deployment by ETAPA_TOOLS_CATALOG."""
