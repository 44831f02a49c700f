// An empty webhook to measure against, and the load generator that measures. Standard library only.
module netpol-guard/tests/hookbench

go 1.24.0
