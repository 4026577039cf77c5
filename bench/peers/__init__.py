"""What other systems need to do Etapa's work: one contestant a peer, in an environment apart."""
