"""Words that the rooms share: kinds, permissions, surveys, measured sources; values that never act."""
