"""Certificates: ACM's operations, over certificates that a local authority signs."""
