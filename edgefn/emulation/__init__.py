"""Several boxes on one machine, with links between them that delay, lose and break."""
