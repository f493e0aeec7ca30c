"""Vector stores behind one protocol: in memory, and LanceDB on disk or in object storage."""
