"""One file per subject of doctor: a survey in, findings out; never a call to the cluster."""
