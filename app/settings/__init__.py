"""What an administrator can choose: one validated value, from defaults, a YAML file and the environment."""

from app.settings.load import FILE_VARIABLE, load
from app.settings.model import Certainty, DnsService, Doubt, Mode, Notice, Settings

__all__ = ["FILE_VARIABLE", "Certainty", "DnsService", "Doubt", "Mode", "Notice", "Settings", "load"]
