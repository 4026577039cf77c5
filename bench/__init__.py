"""The benchmark: Etapa, its peers and the physical ceiling on one machine. See bench/README.md."""
