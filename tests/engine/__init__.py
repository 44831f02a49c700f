"""The engine, specified and held against simple oracles."""
