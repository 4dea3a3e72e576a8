"""The audit trail: DICOM audit messages (PS3.15 A.5) in a hash-chained file, and from there on to syslog."""
