"""Certificates of the webhook: issued, rotated, served when trusted; and the configuration they go into.

Issuing, rotation and what belongs into the configuration are pure calculations with the clock handed in; the
keeper and upkeep act on them, through Protocols of this room.
"""
