"""One decoder per kind of object other than policies: JSON in, a few facts out; never a conclusion."""
