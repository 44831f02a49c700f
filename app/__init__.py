"""netpol-guard keeps IOMETE's required flows possible: all of the program; never a test or a tool."""

__version__ = "0.1.0"
