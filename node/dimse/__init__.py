"""DIMSE roles over pynetdicom. Associations and sockets stay in this package."""
