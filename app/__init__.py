"""netpol-guard: keeps IOMETE's required network flows possible, whatever NetworkPolicy is applied."""

__version__ = "0.1.0"
