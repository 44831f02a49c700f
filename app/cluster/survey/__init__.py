"""Everything that doctor and map look at, collected once, as well as may be; never a finding."""
